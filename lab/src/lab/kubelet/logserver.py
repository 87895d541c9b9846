"""What a real API server asks kubelets for: the output of containers, for `kubectl logs`.

Owns one HTTPS server for the kubelets of all nodes, on loopback of the machine's own network, where a real API server
of a lab runs; it knows a pod by the path alone. Which lines are sent is `kubedouble.logs`'. `exec` isn't served:
kubelet's side of it is SPDY with several streams, which no library here speaks.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Final

from aiohttp import web

from kubedouble import FileLogs, make_tls
from kubedouble.errors import StatusError
from kubedouble.logs import read_options
from kubedouble.streams import send_log
from lab.api.cluster import Cluster
from lab.kubelet.programs import log_folder

NAME: Final = "localhost"
"""What nodes are called there (Node.status.addresses, InternalDNS)."""


class LogServer:
    """Of one lab; as an async context manager it serves at `port`."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._logs = FileLogs(log_folder(folder))
        self._closing = contextlib.AsyncExitStack()
        self.port = 0

    async def __aenter__(self) -> LogServer:
        scratch = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="lab-kubelet-"))
        tls = make_tls([NAME]).context(Path(scratch))
        runner = web.ServerRunner(web.Server(self._serve, handler_cancellation=True, access_log=None))
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls, shutdown_timeout=1.0).start()
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
            case _:
                return web.Response(status=404, text="a lab's kubelets serve logs alone\n")
