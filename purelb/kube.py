"""Talk to the Kubernetes API over HTTP. Where it is and who we are there: credentials.py.

Objects go in and out as plain JSON dicts; what they mean is said in servicegroups.py, nodeagents.py and services.py.
Every call has a deadline, and every failure is a KubeError whose type says what to do next. Retrying is the caller's
loop.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeAlias
from urllib.parse import quote, urlencode
from urllib.request import getproxies

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from purelb import names
from purelb.credentials import SERVICE_ACCOUNT, Credentials, Login, ServiceAccount, login_by_kubeconfig
from purelb.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    UnavailableError,
)

JsonObject: TypeAlias = dict[str, Any]

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
TIMEOUT: Final = 10.0
"""Seconds that one request may take, connecting included."""
PAGE: Final = 500
"""Objects asked for at once while listing."""
FROM_CACHE: Final[Mapping[str, str]] = {"resourceVersion": "0"}
"""Query of a read that the API server answers from its memory, without asking etcd: for looks that come again and
again, of a thousand agents."""
CONNECTIONS: Final = 100
"""Requests that may be under way at once."""
WATCH: Final = 300
"""Seconds after which the server is to end a watch, so that a client which it lost isn't served for ever."""
SILENCE: Final = 20
"""Seconds of silence after which a connection is asked whether it still stands; a third more, and it is given up."""

_ERRORS: Final[Mapping[int, type[KubeError]]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind, and the resourceVersion at which that was so."""

    items: list[JsonObject]
    resource_version: str


def core_path(
    plural: str, namespace: str | None = None, name: str | None = None, subresource: str | None = None
) -> str:
    """Path of an object or collection of the core group."""
    return _path("/api/v1", plural, namespace, name, subresource)


def group_path(
    group_version: str,
    plural: str,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
) -> str:
    """Path of an object or collection of a named group, such as ``coordination.k8s.io/v1``."""
    return _path(f"/apis/{group_version}", plural, namespace, name, subresource)


def services_path(namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
    """Path of Services."""
    return core_path("services", namespace, name, subresource)


def custom_path(
    plural: str, namespace: str | None = None, name: str | None = None, subresource: str | None = None
) -> str:
    """Path of our custom resources."""
    return group_path(f"{names.GROUP}/{names.READ_VERSION}", plural, namespace, name, subresource)


def _path(root: str, plural: str, namespace: str | None, name: str | None, subresource: str | None) -> str:
    parts = [root]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    if subresource is not None:
        parts.append(subresource)
    return "/".join(parts)


class Kube:
    """A connection to the API server, as an async context manager: ``async with Kube() as kube``.

    Configured as every client in this field: KUBECONFIG if it is set, else the pod's service account, whose token is
    read again as it is rotated.
    """

    def __init__(self, kubeconfig: Path | None = None, *, user_agent: str = "purelb") -> None:
        self._kubeconfig = kubeconfig
        self._user_agent = user_agent
        self._login: Login | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._kubeconfig is not None:
            self._login = await login_by_kubeconfig(self._kubeconfig)
        else:
            self._login = ServiceAccount()
        tls = (await self.credentials()).tls()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls, socket_factory=_lively_socket),
            # Without a proxy to look for, aiohttp need not look for one in a thread, before each request.
            trust_env=bool(getproxies()),
            # Compressing a page of a list costs more than sending it over a cluster's own network.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def credentials(self) -> Credentials:
        """What another client (kopf) needs to speak to the same server as the same user."""
        if self._login is None:
            raise RuntimeError("the connection isn't open: use it as an async context manager")
        return await self._login.credentials()

    async def get(self, path: str, **query: str) -> JsonObject:
        """Read one object."""
        return await self.request("GET", path, query=query)

    async def list(self, path: str, **query: str) -> Listing:
        """Read a whole collection. GoneError if it changed too much meanwhile."""
        items: list[JsonObject] = []
        version = ""
        async for page in self.pages(path, **query):
            items += page.items
            version = page.resource_version
        return Listing(items, version)

    async def pages(self, path: str, **query: str) -> AsyncIterator[Listing]:
        """Read a collection a page at a time, so that a large one is never in memory as a whole.

        All pages show one moment, that of their resource_version. GoneError if it changed too much meanwhile.
        """
        page = dict(query, limit=str(PAGE))
        while True:
            answer = await self.request("GET", path, query=page)
            yield Listing(answer.get("items") or [], answer["metadata"].get("resourceVersion", ""))
            more = answer["metadata"].get("continue")
            if not more:
                return
            page["continue"] = more

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in the collection at ``path``. ConflictError if it exists."""
        return await self.request("POST", path, body=body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Replace an object; ConflictError unless its resourceVersion is the current one."""
        return await self.request("PUT", path, body=body)

    async def patch(
        self, path: str, body: Mapping[str, Any], content_type: str = MERGE_PATCH, **query: str
    ) -> JsonObject:
        """Patch an object; ConflictError if the body carries an old resourceVersion or uid."""
        return await self.request("PATCH", path, body=body, content_type=content_type, query=query)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> JsonObject:
        """Delete an object."""
        return await self.request("DELETE", path, body=body)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> JsonObject:
        """One request and its decoded answer. Raises KubeError; ``timeout`` is in seconds."""
        if self._session is None:
            raise RuntimeError("the connection isn't open: use it as an async context manager")
        try:
            async with asyncio.timeout(timeout):
                who = await self.credentials()
                async with self._session.request(
                    method,
                    _url(who, path, query),
                    headers={"Content-Type": content_type, **_authorization(who)},
                    data=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
                    proxy=who.proxy,
                    server_hostname=who.tls_server_name,
                    allow_redirects=False,
                ) as response:
                    data = await response.read()
        except TimeoutError:
            raise UnavailableError(f"the API server did not answer {method} {path} in {timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"the API server can't be reached: {error}") from error
        if response.status >= 400:
            _refuse(response.status, response.headers, data)
        answer: JsonObject = json.loads(data) if data else {}
        return answer

    async def watch(self, path: str, resource_version: str, **query: str) -> AsyncIterator[JsonObject]:
        """The changes of a collection after ``resource_version``, as ``{"type": ..., "object": ...}``.

        Bookmarks are among them. It ends when the server ends it, which is no error: go on from the last version seen.
        GoneError if the server's history doesn't reach back so far: list anew.
        """
        if self._session is None:
            raise RuntimeError("the connection isn't open: use it as an async context manager")
        wanted = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH),
            "resourceVersion": resource_version,
            **query,
        }
        try:
            who = await self.credentials()
            async with self._session.get(
                _url(who, path, wanted),
                headers=_authorization(who),
                timeout=aiohttp.ClientTimeout(total=WATCH + TIMEOUT, sock_connect=TIMEOUT),
                proxy=who.proxy,
                server_hostname=who.tls_server_name,
                allow_redirects=False,
            ) as response:
                if response.status >= 400:
                    _refuse(response.status, response.headers, await response.read())
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield _event(line)
        except TimeoutError:
            raise UnavailableError(f"the API server did not end the watch of {path}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"the watch of {path} broke off: {error}") from error


def _url(who: Credentials, path: str, query: Mapping[str, str] | None) -> URL:
    return URL(who.server + path + (f"?{urlencode(query)}" if query else ""), encoded=True)


def _authorization(who: Credentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token}"} if who.token else {}


def _lively_socket(where: AddrInfoType) -> socket.socket:
    """A socket that notices when its peer is gone without a word, as a watch, which only listens, never would."""
    family, kind, protocol, _, _ = where
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", SILENCE), ("TCP_KEEPINTVL", SILENCE // 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # an operator's own machine needn't be Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _event(line: bytes) -> JsonObject:
    event: JsonObject = json.loads(line)
    if event["type"] == "ERROR":
        status = event["object"]
        code = status.get("code", 500)
        raise _ERRORS.get(code, UnavailableError)(
            status.get("message", "the watch failed"), status=code, reason=status.get("reason", "")
        )
    return event


def _refuse(status: int, headers: Mapping[str, str], data: bytes) -> NoReturn:
    try:
        answer = json.loads(data)
        message, reason = answer.get("message", ""), answer.get("reason", "")
    except (ValueError, AttributeError):
        message, reason = data[:200].decode(errors="replace"), ""
    retry_after = headers.get("Retry-After", "")
    raise _ERRORS.get(status, UnavailableError)(
        message or f"HTTP status {status}",
        status=status,
        reason=reason,
        retry_after=float(retry_after) if retry_after.isdecimal() else None,
    )


def kubeconfig_from(environ: Mapping[str, str]) -> Path | None:
    """The file that KUBECONFIG names; None in a pod."""
    text = environ.get("KUBECONFIG", "")
    return Path(text.split(os.pathsep)[0]) if text else None


def own_namespace(environ: Mapping[str, str], default: str = "purelb") -> str:
    """The namespace that we run in: PURELB_NAMESPACE, else the service account's, else ``default``."""
    if environ.get("PURELB_NAMESPACE"):
        return environ["PURELB_NAMESPACE"]
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or default
    except OSError:
        return default


def decode_secret(secret: Mapping[str, Any], key: str) -> bytes | None:
    """One value of a Secret object, decoded; None if it isn't there."""
    value = (secret.get("data") or {}).get(key)
    return base64.b64decode(value) if value is not None else None
