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
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from .admin import admin_handler
from .allocation import SERVICE_V4, SERVICE_V6, Network
from .auth import Authenticator
from .bootstrap import bootstrap
from .cluster import Cluster
from .connections import Connections
from .controllers import Controllers
from .errors import JsonObject, StatusError, internal_error
from .fault import Meeting
from .faults import Faults
from .ground import Ground
from .handlers import Handlers
from .journal import Journal
from .listeners import Listeners, bound
from .logs import LogProvider
from .misdeeds import MISDEEDS
from .negotiation import error_response
from .operations import Operations
from .paths import Target, parse
from .store import Store
from .tls import Tls, renewed

log = logging.getLogger(__name__)

_BODY_LIMIT: Final = 3 * 1024 * 1024
"""Bytes of a request's body (apiserver `MaxRequestBodyBytes`)."""


class ApiServer:
    """An embedded Kubernetes API server. `url`, `faults` and `store` are there after `start()`.

    host, port: where it listens; port 0 takes a free one. More sockets can be added by `listen`.
    log_provider: gives the output of containers for `kubectl logs`.
    kubelet_tls: what it proves itself with to kubelets that run the commands of `kubectl exec`; see `Kubelets`.
    journal: a file that keeps all objects, for a server that is to go on where it was.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Tls | None = None,
        log_provider: LogProvider | None = None,
        kubelet_tls: Path | None = None,
        journal: Path | None = None,
        admin_token: str | None = None,
        token_key: bytes | None = None,
        service_networks: Iterable[Network] = (SERVICE_V4, SERVICE_V6),
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self.store = Store()
        self.cluster = Cluster(self.store, service_networks)
        self._authenticator = Authenticator(self.store, token_key, admin_token)
        self._handlers = Handlers(self.cluster, self._authenticator, log_provider, kubelet_tls)
        self.operations: Operations = self._handlers.operations
        self.authorizer = self._handlers.authorizer
        """Also the record of what ServiceAccounts were granted and refused."""
        root_ca = tls.ca.decode() if tls else ""
        self._controllers = Controllers(self.cluster, self.operations, root_ca)
        self._journal = Journal(journal) if journal is not None else None
        self._connections = Connections()
        self._ground = Ground(self.store, self._handlers, self._connections, self._journal, self._renew_keys)
        self.faults = Faults(self._ground)
        self.url = ""
        self._runners: list[web.ServerRunner] = []
        self._listeners: Listeners | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._ssl: Any = None
        self._tasks: asyncio.Task[None] | None = None

    # Life

    async def start(self) -> None:
        if self._journal is not None:
            self._journal.replay(self.store)
            self._journal.open(self.store)
        if self._tls is not None:
            self._scratch = tempfile.TemporaryDirectory(prefix="lab-apiserver-")
            self._ssl = self._tls.context(Path(self._scratch.name))
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        self._runners.append(runner)
        self._listeners = Listeners(runner, self._ssl)
        self._ground.open(self._listeners)
        listening = bound(self._host, self._port)
        self._port = listening.getsockname()[1]
        await self._listeners.add(listening)
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"{'https' if self._tls else 'http'}://{host}:{self._port}"
        bootstrap(self.cluster, self._port)
        self._controllers.settle_all()
        self._tasks = asyncio.create_task(self._background(), name="apiserver")

    async def _background(self) -> None:
        """Owns all tasks; a crash of one is the end of all, and of the server's silence about it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controllers.run(), name="controllers")

    async def stop(self) -> None:
        await self._ground.close()
        self._ground.drop_watches()
        self._connections.cut_all()
        if self._tasks is not None:
            self._tasks.cancel()
            await asyncio.gather(self._tasks, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._listeners is not None:
            self._listeners.close()
        if self._journal is not None:
            self._journal.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    async def listen(self, host: str, port: int) -> None:
        """One more address for the same server."""
        await self.listen_on(bound(host, port))

    async def listen_on(self, inherited: socket.socket) -> None:
        """Serves on a socket that somebody else bound, in another network namespace perhaps."""
        assert self._listeners is not None, "start() comes first"
        await self._listeners.add(inherited)

    async def listen_admin(self, host: str, port: int) -> str:
        """The fault port, plain HTTP without authentication: for loopback. Returns its URL."""
        runner = web.ServerRunner(web.Server(admin_handler(self.faults), access_log=None))
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port).start()
        return f"http://{host}:{runner.addresses[0][1]}"

    def _renew_keys(self) -> str:
        """Another key for tokens, and another authority where it serves HTTPS; returns that, PEM."""
        self._authenticator.rotate()
        if self._tls is None or self._scratch is None:
            return ""
        self._tls = renewed(self._tls)
        self._tls.load_into(self._ssl, Path(self._scratch.name))
        self._controllers.root_ca = self._tls.ca.decode()
        return self._controllers.root_ca

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
        target = parse(request.method, request.path, request.query)
        meeting = _meeting(request, target)
        return await self._connections.serve(request, meeting, lambda: self._guard(request, target, meeting))

    async def _guard(self, request: web.BaseRequest, target: Target | None, meeting: Meeting) -> web.StreamResponse:
        try:
            return await self._answer(request, target, meeting)
        except StatusError as refused:
            return error_response(refused)
        except (asyncio.CancelledError, ConnectionError, web.HTTPException):
            raise
        except Exception:
            # The guard at the request's edge: a bug in one request is a 500, as in Kubernetes, not the server's end.
            log.exception("request failed", extra={"method": request.method, "path": request.path_qs})
            return error_response(internal_error("a bug in the embedded API server, see its log"))

    async def _answer(self, request: web.BaseRequest, target: Target | None, meeting: Meeting) -> web.StreamResponse:
        if (request.content_length or 0) > _BODY_LIMIT:
            raise StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
        request._client_max_size = _BODY_LIMIT
        for fault in self.faults.met_by(meeting):
            misdeed, _ = MISDEEDS[fault.kind]
            done = await misdeed(request, fault, self._connections)
            if done is not None:
                return done
        response = await self._handlers.handle(request, target)
        if not response.prepared:
            response.headers["Audit-Id"] = str(uuid.uuid4())
        return response


def _meeting(request: web.BaseRequest, target: Target | None) -> Meeting:
    agent = request.headers.get("User-Agent", "")
    if target is None:
        return Meeting(request.method, user_agent=agent)
    return Meeting(
        request.method, target.verb, target.resource, target.subresource, target.namespace, target.name, agent
    )
