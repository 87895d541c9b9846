"""What an API server asks kubelets for: the output of containers and commands in them, `kubectl logs` and `exec`.

Owns one HTTPS server for the kubelets of all nodes, on loopback of the machine's own network, where the API server
of a lab runs; it knows a pod by the path alone. Since it runs commands as root it lets in nobody but that API server,
which has a certificate of the lab's own. Which lines are sent is `kubedouble.logs`', how a command runs `commands`'.
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from kubedouble import FileLogs, Tls
from kubedouble.errors import StatusError
from kubedouble.logs import read_options
from kubedouble.streams import send_log
from lab.api.cluster import Cluster
from lab.api.objects import Object
from lab.errors import LabError
from lab.kubelet.channels import SUBPROTOCOL, failed, read_wish
from lab.kubelet.commands import Limits, carry
from lab.kubelet.programs import log_folder
from lab.machine.processes import Child

NAME: Final = "localhost"
"""What nodes are called there (Node.status.addresses, InternalDNS)."""
_MOST_COMMANDS: Final = 32
_LARGEST_MESSAGE: Final = 1024 * 1024
_NO_SPDY = "a lab's kubelets speak WebSocket alone: exec takes kubectl 1.31 and kube-apiserver 1.36, or newer\n"

FindContainer = Callable[[str, str], Child]
"""The program that a container of the pod with this uid runs now. Raises LabError."""


class KubeletServer:
    """Of one lab; as an async context manager it serves at `port`. `tls` has the CA that its only client is of."""

    def __init__(self, cluster: Cluster, folder: Path, find: FindContainer, tls: Tls) -> None:
        self._cluster = cluster
        self._logs = FileLogs(log_folder(folder))
        self._find = find
        self._tls = tls
        self._commands = 0
        self._closing = contextlib.AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> KubeletServer:
        scratch = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="lab-kubelet-"))
        context = self._tls.context(Path(scratch))
        context.load_verify_locations(cadata=self._tls.ca.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["containerLogs", namespace, name, container]:
                pod = self._cluster.caches["pods"].get(namespace, name)
                if pod is None:
                    return web.Response(status=404, text=f'pod "{name}" not found\n')
                try:
                    options = read_options(pod, {**request.query, "container": container})
                    return await send_log(request, self._logs(pod, options))
                except StatusError as refused:
                    return web.Response(status=refused.code, text=f"{refused.message}\n")
            case "GET" | "POST", ["exec", namespace, name, container]:
                pod = self._cluster.caches["pods"].get(namespace, name)
                if pod is None:
                    return web.Response(status=404, text=f'pod "{name}" not found\n')
                return await self._serve_command(request, pod, container)
            case _:
                return web.Response(status=404, text="a lab's kubelets serve logs and exec alone\n")

    async def _serve_command(self, request: web.BaseRequest, pod: Object, container: str) -> web.StreamResponse:
        """What is refused is told as a command's end: of an HTTP error kubectl would try SPDY and forget it."""
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=_LARGEST_MESSAGE)
        if not socket.can_prepare(request).ok:
            return web.Response(status=400, text=_NO_SPDY)
        await socket.prepare(request)
        self._commands += 1
        with contextlib.suppress(ConnectionError):
            try:
                wish = read_wish(request.query.items())
                if self._commands > _MOST_COMMANDS:
                    raise LabError(f"a lab's kubelets run {_MOST_COMMANDS} commands at a time: try again")
                await carry(socket, self._find(pod["metadata"]["uid"], container), wish, Limits())
            except (LabError, ValueError) as refused:
                await socket.send_bytes(failed(str(refused)))
            finally:
                self._commands -= 1
            await socket.close()
        return socket
