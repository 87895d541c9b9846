"""A small Kubernetes client for the lab's own controllers: HTTP verbs, watches, and caches fed by them.

Owns the connection to the API server, by the admin kubeconfig. Must not know any kind's meaning.
It exists beside `purelb.kube` because the lab plays kube-controller-manager and kubelet, which write kinds
that PureLB never writes; objects stay the dictionaries that the API server sends.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from lab.errors import LabError

log = logging.getLogger("lab.kube")

Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for cluster-scoped kinds), name

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_WATCH_SECONDS = 300
_RETRY_SECONDS = 0.5


class ApiError(LabError):
    """The API server refused: HTTP code, and the `reason` and `message` of its Status.

    Code 0 and reason Unreachable when there was no answer at all.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason

    @property
    def is_gone(self) -> bool:
        """The object is not there any more (404), or is another one than we meant (409 on a precondition)."""
        return self.code in (404, 409)


class KubeClient:
    """HTTP verbs on API paths such as `/api/v1/namespaces/x/pods/y`. Made by `open_client`."""

    def __init__(self, session: aiohttp.ClientSession, server: str, tls: ssl.SSLContext | bool) -> None:
        self._session = session
        self._server = server.rstrip("/")
        self._tls = tls

    async def get(self, path: str) -> Object:
        return await self._call("GET", path)

    async def create(self, path: str, body: Object) -> Object:
        return await self._call("POST", path, body)

    async def replace(self, path: str, body: Object) -> Object:
        return await self._call("PUT", path, body)

    async def patch(self, path: str, body: Object, kind: str = MERGE_PATCH) -> Object:
        return await self._call("PATCH", path, body, kind)

    async def delete(self, path: str, *, uid: str | None = None, grace: int | None = None) -> Object:
        """Delete, in the background; `grace` in seconds, `uid` refuses another object of the same name."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return await self._call("DELETE", path, options)

    async def list(self, path: str) -> tuple[list[Object], str]:
        """All items, and the resourceVersion of the list."""
        answer = await self._call("GET", path)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Events after that resourceVersion, until the server ends the watch. Raises ApiError."""
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_WATCH_SECONDS + 30)
        url = f"{self._server}{path}"
        async with self._session.get(url, params=query, ssl=self._tls, timeout=timeout) as response:
            if response.status >= 400:
                raise _refusal(response.status, await response.text())
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 500), status.get("reason", ""), status.get("message", ""))
                yield event["type"], event["object"]

    async def _call(self, verb: str, path: str, body: Object | None = None, kind: str = "") -> Object:
        headers = {"Content-Type": kind or "application/json"} if body is not None else {}
        raw = json.dumps(body) if body is not None else None
        url = f"{self._server}{path}"
        try:
            async with self._session.request(verb, url, data=raw, headers=headers, ssl=self._tls) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise ApiError(0, "Unreachable", f"{verb} {path}: {failure or 'timeout'}") from failure
        else:
            if response.status >= 400:
                raise _refusal(response.status, text)
            answer: Object = json.loads(text)
            return answer


def _refusal(code: int, text: str) -> ApiError:
    try:
        status = json.loads(text)
        return ApiError(code, status.get("reason", ""), status.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(code, "", text.strip()[:200])


@asynccontextmanager
async def open_client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """A client as the kubeconfig's current context says: a token, or a client certificate."""
    config = await asyncio.to_thread(_read_yaml, kubeconfig)
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    headers = {"Accept": "application/json"}
    if "token" in user:
        headers["Authorization"] = f"Bearer {user['token']}"
    tls = _tls(kubeconfig.parent, cluster, user) if cluster["server"].startswith("https") else True
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=64)
    session_options: Object = {"timeout": timeout, "connector": connector, "read_bufsize": 1 << 20}
    async with aiohttp.ClientSession(headers=headers, **session_options) as session:
        yield KubeClient(session, cluster["server"], tls)


def _read_yaml(file: Path) -> Object:
    content: Object = yaml.safe_load(file.read_text())
    return content


def _named(entries: list[Object], name: str) -> Object:
    return next(entry for entry in entries if entry["name"] == name)


def certificate_authority(kubeconfig: Path) -> str:
    """The CA certificate that the kubeconfig trusts, PEM; empty for plain HTTP."""
    config = _read_yaml(kubeconfig)
    cluster: Object = config["clusters"][0]["cluster"]
    return _pem(kubeconfig.parent, cluster, "certificate-authority")


def _pem(folder: Path, source: Object, key: str) -> str:
    if f"{key}-data" in source:
        return base64.b64decode(source[f"{key}-data"]).decode()
    return (folder / source[key]).read_text() if key in source else ""


def _tls(folder: Path, cluster: Object, user: Object) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_pem(folder, cluster, "certificate-authority") or None)
    certificate, key = _pem(folder, user, "client-certificate"), _pem(folder, user, "client-key")
    if certificate:
        # The ssl module reads key pairs from files only.
        pair = folder / "client.pem"
        pair.touch(mode=0o600)
        pair.write_text(certificate + key)
        context.load_cert_chain(pair)
        pair.unlink()
    return context


class Cache:
    """All objects of one kind as last seen, by list and watch; own writes show at once.

    A controller that reads what it wrote a moment ago must find it, or it writes it twice: `apply` takes the
    answer of a write, and older events of the watch are then passed over.
    """

    def __init__(self, client: KubeClient, path: str, changed: Callable[[Object], None]) -> None:
        self._client = client
        self._path = path
        self._changed = changed
        self._objects: dict[Key, Object] = {}
        self._removed: dict[Key, str] = {}  # uid of what we know to be deleted, until the watch says so
        self.synced = asyncio.Event()

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get((namespace, name))

    def apply(self, obj: Object) -> None:
        """Take over an object that the API server answered or sent, unless we have a newer one."""
        key = key_of(obj)
        known = self._objects.get(key)
        if known is not None and _version(known) > _version(obj):
            return
        if self._removed.get(key) == obj["metadata"]["uid"]:
            return
        self._objects[key] = obj
        self._changed(obj)

    def forget(self, obj: Object) -> None:
        """Take note that this object is gone."""
        key = key_of(obj)
        known = self._objects.get(key)
        if known is not None and known["metadata"]["uid"] == obj["metadata"]["uid"]:
            del self._objects[key]
            self._removed[key] = obj["metadata"]["uid"]
            self._changed(obj)

    async def run(self) -> None:
        """List and watch for ever; what fails is tried again, with a fresh list."""
        while True:
            try:
                version = await self._relist()
                while True:
                    version = await self._follow(version)
            except (ApiError, aiohttp.ClientError, TimeoutError, ValueError) as failure:
                log.info("watch of %s: %s", self._path, failure)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _relist(self) -> str:
        items, version = await self._client.list(self._path)
        present = {key_of(item): item["metadata"]["uid"] for item in items}
        for obj in list(self._objects.values()):
            if present.get(key_of(obj)) != obj["metadata"]["uid"]:
                self.forget(obj)
        self._removed.clear()
        for item in items:
            self.apply(item)
        self.synced.set()
        return version

    async def _follow(self, version: str) -> str:
        async for kind, obj in self._client.watch(self._path, version):
            version = obj["metadata"]["resourceVersion"]
            if kind in ("ADDED", "MODIFIED"):
                self.apply(obj)
            elif kind == "DELETED":
                self.forget(obj)
                self._removed.pop(key_of(obj), None)
        return version


def key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _version(obj: Object) -> int:
    # Opaque by contract, ordered in fact: etcd's revision in every API server that there is (KEP-5504 says so).
    return int(obj["metadata"]["resourceVersion"])
