"""Talk to the Kubernetes API over HTTP. Where it is and who we are there: credentials.py.

Objects go in and out as plain JSON dicts; what they mean is said in servicegroups.py, nodeagents.py and services.py.
Every call has a deadline, and every failure is a KubeError whose type says what to do next. Retrying is the caller's
loop.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode
from urllib.request import getproxies

from yarl import URL

from purelb import names
from purelb.answers import JsonObject, Lines, decode_document, decode_event, decode_object, decode_page, refusal
from purelb.credentials import Credentials, Kubeconfig, Login, login
from purelb.errors import KubeError, SettingsError, UnavailableError
from purelb.light_aiohttp import aiohttp
from purelb.pace import Pace
from purelb.rights import VERBS, Rights

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
PAGE: Final = 500
"""Objects asked for at once while listing."""
LONGEST_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of an answer; a page of the largest Services that we give addresses to has a tenth."""
CONNECTIONS: Final = 100
"""Requests that may be under way at once."""
IDLE: Final = 4.0
"""Seconds until a connection that nobody uses is closed. aiohttp takes the one that has waited longest, so that the
renewals of a Lease keep as many open as there are in this time, and each has its buffers."""
SILENCE: Final = 20
"""Seconds of silence after which a connection is asked whether it still stands; a third more, and it is given up."""


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
    read again as it is rotated, and at once when the server doesn't take it.
    """

    def __init__(
        self,
        kubeconfig: Path | Kubeconfig | None = None,
        *,
        user_agent: str = "purelb",
        pace: Pace | None = None,
        requested: Callable[[str, float], None] = lambda verb, seconds: None,
    ) -> None:
        """``requested`` is told of each request that came to its end, how it did: its verb, and the seconds it took."""
        self.pace = pace or Pace()
        self._kubeconfig = kubeconfig
        self._user_agent = user_agent
        self._requested = requested
        self.rights = Rights()
        """What the answers say of them."""
        self._login: Login | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._renewing = asyncio.Lock()
        self._renewals = 0

    async def __aenter__(self) -> Self:
        self._login = await login(self._kubeconfig)
        self._tls = (await self._login.credentials()).tls()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE, socket_factory=_lively_socket),
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
        """What another client (kopf) needs to speak to the same server as the same user. Raises UnavailableError."""
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

    async def pages(self, path: str, **query: str) -> AsyncGenerator[Listing, None]:
        """Read a collection a page at a time, so that a large one is never in memory as a whole.

        All pages show one moment, that of their resource_version. GoneError if it changed too much meanwhile.
        """
        ask = dict(query, limit=str(PAGE))
        while True:
            page = decode_page(await self.request("GET", path, query=ask), f"GET {path}")
            yield Listing(page.items, page.resource_version)
            if not page.token:
                return
            if page.token == ask.get("continue"):
                raise UnavailableError(f"GET {path} gives the same page again and again")
            ask["continue"] = page.token

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
        timeout: float | None = None,
    ) -> JsonObject:
        """One request and the object that is its answer. Raises KubeError; ``timeout`` is in seconds (Pace)."""
        return decode_object(await self._exchange(method, path, body, content_type, query, timeout), f"{method} {path}")

    async def discover(self, path: str) -> JsonObject:
        """What the server serves below a path such as ``/apis`` or ``/version``, which are no objects."""
        return decode_document(await self._exchange("GET", path), f"GET {path}")

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        what, timeout = f"{method} {path}", self.pace.request if timeout is None else timeout
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(timeout):
                response = await self._ask(method, path, query, data, {"Content-Type": content_type})
                async with response:
                    answer = await _read(response, what)
        except TimeoutError:
            raise UnavailableError(f"the API server did not answer {what} in {timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"the API server can't be reached: {error}") from error
        finally:
            self._requested(VERBS.get(method, "other"), loop.time() - begun)
        if not 200 <= response.status < 300:
            raise self._refused(method, path, response, answer)
        self.rights.worked(method, path)
        return answer

    async def watch(self, path: str, resource_version: str, **query: str) -> AsyncGenerator[JsonObject, None]:
        """The changes of a collection after ``resource_version``, as ``{"type": ..., "object": ...}``.

        Bookmarks are among them; the first is ours, as soon as the server has begun. It ends when the server ends it,
        which is no error: go on from the last version seen. A server that doesn't, ``timeoutSeconds`` (Pace, unless
        the query says otherwise) after the beginning, is frozen, or something between us is, and that is an error.
        GoneError if the server's history doesn't reach back so far: list anew.
        """
        what = f"the watch of {path}"
        wanted = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": f"{self.pace.watch:.0f}",
            "resourceVersion": resource_version,
            **query,
        }
        lines = Lines(what)
        end = asyncio.get_running_loop().time() + float(wanted["timeoutSeconds"]) + self.pace.request
        try:
            async with asyncio.timeout(self.pace.request):
                response = await self._ask("GET", path, wanted)
            async with response:
                if response.status != 200:
                    async with asyncio.timeout(self.pace.request):
                        raise self._refused("WATCH", path, response, await _read(response, what))
                self.rights.worked("WATCH", path)
                yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": resource_version}}}
                while True:
                    # aiohttp's own timeouts never come when it can't make out where a chunk begins.
                    async with asyncio.timeout_at(end):
                        chunk = await response.content.readany()
                    if not chunk:
                        break
                    for line in lines.feed(chunk):
                        yield decode_event(line, what)
                lines.end()
        except TimeoutError:
            raise UnavailableError(f"the API server neither goes on nor ends: {what}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"{what} broke off: {error}") from error

    def _refused(self, method: str, path: str, response: aiohttp.ClientResponse, answer: bytes) -> KubeError:
        refused = refusal(response.status, response.headers, answer)
        self.rights.failed(method, path, refused, asyncio.get_running_loop().time())
        return refused

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """The beginning of an answer.

        Tried once more with what our credentials are by now, when the server doesn't take those that we had, or we
        don't take its certificate: tokens and authorities are rotated while we run.
        """
        if self._session is None:
            raise RuntimeError("the connection isn't open: use it as an async context manager")
        is_last = False
        while True:
            known, who = self._renewals, await self.credentials()
            try:
                response = await self._session.request(
                    method,
                    _url(who, path, query),
                    headers={**(headers or {}), **_authorization(who)},
                    data=data,
                    ssl=self._tls or True,
                    proxy=who.proxy,
                    server_hostname=who.tls_server_name,
                    allow_redirects=False,
                )
            except aiohttp.ClientSSLError:
                if is_last:
                    raise
            else:
                if response.status != 401 or is_last:
                    return response
                response.release()
            is_last = True
            await self._renew(known)

    async def _renew(self, known: int) -> None:
        """Read our credentials anew, unless somebody has since renewal number ``known``. Raises UnavailableError."""
        async with self._renewing:
            if self._renewals == known and self._login is not None:
                await self._login.renew()
                try:
                    self._tls = (await self._login.credentials()).tls()
                except SettingsError as error:
                    raise UnavailableError(str(error)) from error
                self._renewals += 1


async def _read(response: aiohttp.ClientResponse, what: str) -> bytes:
    chunks, length = list[bytes](), 0
    async for chunk in response.content.iter_any():
        length += len(chunk)
        if length > LONGEST_ANSWER:
            raise UnavailableError(f"the answer to {what} has more than {LONGEST_ANSWER} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _url(who: Credentials, path: str, query: Mapping[str, str] | None) -> URL:
    return URL(who.server + path + (f"?{urlencode(query)}" if query else ""), encoded=True)


def _authorization(who: Credentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token}"} if who.token else {}


def _lively_socket(where: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices when its peer is gone without a word, as a watch, which only listens, never would."""
    family, kind, protocol, _, _ = where
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", SILENCE), ("TCP_KEEPINTVL", SILENCE // 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # an operator's own machine needn't be Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
