"""The health ports of a kube-proxy: its own, and one for each Service that wants to know of local endpoints.

Owns HTTP and what each port says (kubernetes/pkg/proxy/healthcheck). The caller's `listen` opens the sockets, inside
the node. Must not know rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lab.errors import StartFailed

log = logging.getLogger("lab.kubeproxy")

PORT: Final = 10256
_HEAD_LIMIT: Final = 16 * 1024  # bytes
_PATIENCE: Final = 10.0  # seconds until a silent client is cut off

Answer = tuple[int, Mapping[str, str], str]
Listen = Callable[[int], socket.socket]


@dataclass(frozen=True, slots=True)
class LocalEndpoints:
    """What a healthCheckNodePort tells about its Service."""

    namespace: str
    name: str
    count: int


def proxy_answer(is_healthy: bool, now: datetime) -> Answer:
    """Of the port 10256, whatever the path."""
    body = {"lastUpdated": f"{now:%Y-%m-%d %H:%M:%S} UTC", "nodeEligible": True}
    return (200 if is_healthy else 503), {}, json.dumps(body)


def service_answer(service: LocalEndpoints, is_healthy: bool) -> Answer:
    """Of a healthCheckNodePort: 200 where the node has endpoints of the Service."""
    body = {
        "service": {"namespace": service.namespace, "name": service.name},
        "localEndpoints": service.count,
        "serviceProxyHealthy": is_healthy,
    }
    status = 200 if service.count and is_healthy else 503
    return status, {"X-Load-Balancing-Endpoint-Weight": str(service.count)}, json.dumps(body)


class HealthPorts:
    """The open ports of one node. While `awake` is cleared the program is frozen: clients get in, and no answer."""

    def __init__(self, listen: Listen, awake: asyncio.Event) -> None:
        self._listen = listen
        self._awake = awake
        self._servers: dict[int, asyncio.Server] = {}
        self._services: Mapping[int, LocalEndpoints] = {}
        self._is_open = True
        self.is_healthy = False

    async def show(self, services: Mapping[int, LocalEndpoints], is_healthy: bool) -> None:
        """Have exactly these ports, and the proxy's own; none while it is closed."""
        self._services, self.is_healthy = services, is_healthy
        wanted = {PORT, *services}
        for port in set(self._servers) - wanted:
            self._servers.pop(port).close()
        for port in wanted - set(self._servers):
            if not self._is_open:
                return
            try:
                await self._open(port)
            except StartFailed as failure:
                log.warning("%s", failure)

    async def _open(self, port: int) -> None:
        """Raises StartFailed."""

        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._respond(port, reader, writer)

        listening = await asyncio.to_thread(self._listen, port)
        try:
            server = await asyncio.start_server(respond, sock=listening, limit=_HEAD_LIMIT)
        except BaseException:
            listening.close()
            raise
        if self._is_open:
            self._servers[port] = server
        else:  # it was closed meanwhile
            server.close()

    def open(self) -> None:
        """What is shown from now on is there again."""
        self._is_open = True

    def close(self) -> None:
        """Let go of all ports, as a program that ends does, also of those that are being opened."""
        self._is_open = False
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _answer(self, port: int) -> Answer:
        service = self._services.get(port)
        if service is not None:
            return service_answer(service, self.is_healthy)
        return proxy_answer(self.is_healthy, datetime.now(UTC))

    async def _respond(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await reader.readuntil(b"\r\n\r\n")
                await self._awake.wait()
                status, headers, body = self._answer(port)
                head = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Service Unavailable'}"]
                head += [f"{name}: {value}" for name, value in headers.items()]
                head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", "", ""]
                writer.write(("\r\n".join(head) + body).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass  # a client that leaves early or speaks no HTTP gets nothing
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
