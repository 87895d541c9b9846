"""Servers for the tests, each on an event loop of its own in a thread, and a plain HTTP client for them."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from kubedouble import ApiServer, FileLogs, make_tls
from kubedouble.envtest import ControlPlane

T = TypeVar("T")
Json = dict[str, Any]


class Loop:
    """An event loop in a thread: a test waits for what it runs there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: http.client.HTTPMessage

    def ok(self) -> Any:
        """The body of an answer that is a success."""
        assert self.status < 300, f"{self.status}: {self.body}"
        return self.body

    def refused(self, code: int) -> str:
        """The sentence of a refusal with this code."""
        assert self.status == code, f"{self.status}: {self.body}"
        message: str = self.body["message"]
        return message


class Api:
    """One user's way to one server."""

    def __init__(self, url: str, token: str | None, context: ssl.SSLContext | None) -> None:
        self.url, self.token, self._context = url, token, context
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._idle: http.client.HTTPConnection | None = None

    def as_user(self, token: str | None) -> Api:
        return Api(self.url, token, self._context)

    def _connection(self, timeout: float = 20.0) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _headers(self, extra: dict[str, str]) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "conformance/1", **extra}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "application/json",
        accept: str = "",
        **query: str,
    ) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = self._headers({"Content-Type": media, **({"Accept": accept} if accept else {})})
        connection = self._idle or self._connection()
        self._idle = None
        try:
            connection.request(method, target, raw, headers)
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()
            connection = self._connection()
            connection.request(method, target, raw, headers)
            answer = connection.getresponse()
        content = answer.read()
        self._idle = connection
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = content.decode()
        return Answer(answer.status, parsed, answer.headers)

    def get(self, path: str, **query: str) -> Answer:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any, **query: str) -> Answer:
        return self.call("POST", path, body, **query)

    def put(self, path: str, body: Any, **query: str) -> Answer:
        return self.call("PUT", path, body, **query)

    def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return self.call("DELETE", path, body, **query)

    def merge(self, path: str, patch: Any, **query: str) -> Answer:
        return self.call("PATCH", path, patch, media="application/merge-patch+json", **query)

    def strategic(self, path: str, patch: Any, **query: str) -> Answer:
        return self.call("PATCH", path, patch, media="application/strategic-merge-patch+json", **query)

    def json_patch(self, path: str, patch: Any, **query: str) -> Answer:
        return self.call("PATCH", path, patch, media="application/json-patch+json", **query)

    def apply(self, path: str, intent: Any, manager: str, **query: str) -> Answer:
        return self.call("PATCH", path, intent, media="application/apply-patch+yaml", fieldManager=manager, **query)

    @contextmanager
    def watch(self, path: str, accept: str = "", **query: str) -> Iterator[Watcher]:
        connection = self._connection(timeout=10.0)
        target = f"{path}?{urlencode({'watch': 'true', **query})}"
        connection.request("GET", target, headers=self._headers({"Accept": accept} if accept else {}))
        try:
            yield Watcher(connection.getresponse())
        finally:
            connection.close()


class Watcher:
    """A running watch, read line by line."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self._answer = answer

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Json:
        line = self._answer.readline()
        if not line:
            raise StopIteration
        event: Json = json.loads(line)
        return event

    def names(self, count: int) -> list[tuple[str, str]]:
        """Type and object's name of the next `count` events."""
        events = [next(self) for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


class Embedded:
    """An embedded server, with TLS so that kubectl sends its token."""

    kind = "embedded"

    def __init__(self) -> None:
        self.loop = Loop()
        self._folder = tempfile.TemporaryDirectory(prefix="apiserver-test-")
        self.logs = Path(self._folder.name) / "logs"
        self._tls = make_tls(["127.0.0.1"])
        self.server = ApiServer(tls=self._tls, log_provider=FileLogs(self.logs))
        self.loop.run(self.server.start())
        context = ssl.create_default_context(cadata=self._tls.ca.decode())
        config = self.kubeconfig()
        self.api = Api(self.server.url, config["users"][0]["user"]["token"], context)

    def kubeconfig(self) -> Json:
        return self.server.kubeconfig()

    def stop(self) -> None:
        self.loop.run(self.server.stop())
        self.loop.close()
        self._folder.cleanup()


class Real:
    """etcd and kube-apiserver."""

    kind = "envtest"

    def __init__(self, programs: Path) -> None:
        self.loop = Loop()
        self._folder = tempfile.TemporaryDirectory(prefix="envtest-")
        self._plane = ControlPlane(Path(self._folder.name), programs)
        self.loop.run(self._plane.start())
        config = self.kubeconfig()
        context = ssl.create_default_context(cafile=str(Path(self._folder.name) / "ca.crt"))
        self.url = self._plane.url
        self.api = Api(self.url, config["users"][0]["user"]["token"], context)

    def kubeconfig(self, *, user: str = "admin", server: str = "") -> Json:
        return self._plane.kubeconfig(user=user, server=server)

    def service_account_token(self, namespace: str, name: str) -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = self.api.post(path, {"spec": {"expirationSeconds": 3600}}).ok()["status"]["token"]
        return token

    def stop(self) -> None:
        self.loop.run(self._plane.stop())
        self.loop.close()
        self._folder.cleanup()
