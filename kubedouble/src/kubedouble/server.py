"""The server: sockets, faults, life and death of one embedded API server.

Owns listening, the guard around each request, the tasks, the kubeconfig. What requests mean is `handlers.py`.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from .admin import admin_handler
from .allocation import SERVICE_V4, SERVICE_V6, Network
from .auth import Authenticator
from .bootstrap import bootstrap
from .cluster import Cluster
from .controllers import Controllers
from .errors import JsonObject, StatusError, expired, internal_error
from .faults import Faults, Meeting
from .handlers import Handlers
from .journal import Journal
from .logs import LogProvider
from .negotiation import error_response
from .operations import Operations
from .paths import Target, parse
from .store import Store
from .tls import Tls
from .watching import error_frame

log = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds that another thread waits for the server's loop."""
_BODY_LIMIT: Final = 3 * 1024 * 1024
"""Bytes of a request's body (apiserver `MaxRequestBodyBytes`)."""


class ApiServer:
    """An embedded Kubernetes API server. `url`, `faults` and `store` are there after `start()`.

    host, port: where it listens; port 0 takes a free one. More sockets can be added by `listen`.
    log_provider: gives the output of containers for `kubectl logs`.
    journal: a file that keeps all objects, for a server that is to go on where it was.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Tls | None = None,
        log_provider: LogProvider | None = None,
        journal: Path | None = None,
        admin_token: str | None = None,
        token_key: bytes | None = None,
        service_networks: Iterable[Network] = (SERVICE_V4, SERVICE_V6),
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self.store = Store()
        self.cluster = Cluster(self.store, service_networks)
        self._authenticator = Authenticator(self.store, token_key, admin_token)
        self._handlers = Handlers(self.cluster, self._authenticator, log_provider)
        self.operations: Operations = self._handlers.operations
        self.authorizer = self._handlers.authorizer
        """Also the record of what ServiceAccounts were granted and refused."""
        root_ca = tls.ca.decode() if tls else ""
        self._controllers = Controllers(self.cluster, self.operations, root_ca)
        self._journal = Journal(journal) if journal is not None else None
        self.faults = Faults(
            lambda everything: self._on_loop(lambda: self._drop_watches(everything)),
            lambda: self._on_loop(self.store.compact),
        )
        self.url = ""
        self._runners: list[web.ServerRunner] = []
        self._runner: web.ServerRunner | None = None
        self._transports: set[asyncio.Transport] = set()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._ssl: Any = None
        self._tasks: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # Life

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._journal is not None:
            self._journal.replay(self.store)
            self._journal.open(self.store)
        if self._tls is not None:
            self._scratch = tempfile.TemporaryDirectory(prefix="lab-apiserver-")
            self._ssl = self._tls.context(Path(self._scratch.name))
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        self._runners.append(self._runner)
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._ssl, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"{'https' if self._tls else 'http'}://{host}:{self._port}"
        bootstrap(self.cluster, self._port)
        self._controllers.settle_all()
        self._tasks = asyncio.create_task(self._background(), name="apiserver")

    def _on_loop(self, action: Callable[[], T]) -> T:
        """Runs `action` where the server lives, so that faults can be asked for from any thread."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            return action()
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(action()))
        return done.result(_PATIENCE)

    async def _background(self) -> None:
        """Owns all tasks; a crash of one is the end of all, and of the server's silence about it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controllers.run(), name="controllers")

    async def stop(self) -> None:
        self._drop_watches(False)
        for transport in list(self._transports):
            transport.abort()
        if self._tasks is not None:
            self._tasks.cancel()
            await asyncio.gather(self._tasks, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._journal is not None:
            self._journal.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    async def listen(self, host: str, port: int) -> None:
        """One more address for the same server."""
        assert self._runner is not None, "start() comes first"
        await web.TCPSite(self._runner, host, port, ssl_context=self._ssl, backlog=1024).start()

    async def listen_on(self, inherited: socket.socket) -> None:
        """Serves on a socket that somebody else bound, in another network namespace perhaps."""
        assert self._runner is not None, "start() comes first"
        await web.SockSite(self._runner, inherited, ssl_context=self._ssl, backlog=1024).start()

    async def listen_admin(self, host: str, port: int) -> str:
        """The fault port, plain HTTP without authentication: for loopback. Returns its URL."""
        runner = web.ServerRunner(web.Server(admin_handler(self.faults), access_log=None))
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port).start()
        return f"http://{host}:{runner.addresses[0][1]}"

    # Access

    def kubeconfig(self, *, user: str = "admin", server: str = "") -> JsonObject:
        """For kubectl; `user` is a label only, the token is the administrator's."""
        cluster: JsonObject = {"server": server or self.url}
        if self._tls is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self._tls.ca).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self._authenticator.admin_token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        }

    def service_account_token(self, namespace: str, name: str, *, seconds: float = 86400 * 365) -> str:
        """A token of a ServiceAccount that exists. Raises KeyError when there is none."""
        account = self.store.get("/serviceaccounts", namespace, name)
        if account is None:
            raise KeyError(f"no ServiceAccount {namespace}/{name}")
        uid = account.obj["metadata"]["uid"]
        return self._authenticator.issue(namespace, name, uid, lifetime=seconds)[0]

    # Requests

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            self._transports.add(transport)
        try:
            return await self._answer(request)
        except StatusError as refused:
            return error_response(refused)
        except (asyncio.CancelledError, ConnectionError, web.HTTPException):
            raise
        except Exception:
            # The guard at the request's edge: a bug in one request is a 500, as in Kubernetes, not the server's end.
            log.exception("request failed", extra={"method": request.method, "path": request.path_qs})
            return error_response(internal_error("a bug in the embedded API server, see its log"))
        finally:
            if transport is not None:
                self._transports.discard(transport)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if (request.content_length or 0) > _BODY_LIMIT:
            raise StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
        request._client_max_size = _BODY_LIMIT
        target = parse(request.method, request.path, request.query)
        if self.faults.active() and await self._suffer(request, target):
            return await _expired_watch(request)
        response = await self._handlers.handle(request, target)
        if not response.prepared:
            response.headers["Audit-Id"] = str(uuid.uuid4())
        return response

    async def _suffer(self, request: web.BaseRequest, target: Target | None) -> bool:
        """True when a watch is to be answered with 410 as the watch cache does it."""
        for fault in self.faults.met_by(_meeting(request, target)):
            match fault.kind:
                case "slow":
                    await asyncio.sleep(fault.milliseconds / 1000)
                case "hang":
                    await asyncio.Event().wait()
                case "down":
                    self._abort(request)
                case "expire-watches":
                    return True
                case _:
                    raise fault.error()
        return False

    @staticmethod
    def _abort(request: web.BaseRequest) -> None:
        if isinstance(request.transport, asyncio.Transport):
            request.transport.abort()
        raise ConnectionResetError("the server is down, as asked for")

    def _drop_watches(self, all_connections: bool) -> int:
        """Cuts every watch. With `all_connections` the sockets of all other running requests too."""
        count = len(self._handlers.watches)
        for watch in list(self._handlers.watches):
            watch.cut()
        if all_connections:
            for transport in list(self._transports):
                transport.abort()
        return count


async def _expired_watch(request: web.BaseRequest) -> web.StreamResponse:
    """200, and in the stream an error of code 410."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(error_frame(expired("too old resource version: 1 (2)")))
    return response


def _meeting(request: web.BaseRequest, target: Target | None) -> Meeting:
    agent = request.headers.get("User-Agent", "")
    if target is None:
        return Meeting(request.method, user_agent=agent)
    return Meeting(
        request.method, target.verb, target.resource, target.subresource, target.namespace, target.name, agent
    )
