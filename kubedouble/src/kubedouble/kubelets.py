"""`kubectl exec`: a client's WebSocket carried on, message by message, to the kubelet of the pod's node.

Owns finding that kubelet (Node.status, as kube-apiserver finds it) and both connections; what the messages say is the
kubelet's and the client's. SPDY is not spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Final, TypeAlias

import aiohttp
from aiohttp import WSMsgType, web

from .errors import JsonObject, StatusError, bad_request
from .logs import read_options
from .paths import is_true
from .store import Store

SUBPROTOCOL: Final = "v5.channel.k8s.io"
_LARGEST: Final = 1024 * 1024
_STREAMS: Final = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""PodExecOptions -> what kubelet's API calls them."""

_Socket: TypeAlias = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class Kubelets:
    """`tls` is a folder with the CA that they are known by (ca.crt), and with what this server proves itself to them
    (apiserver.crt, apiserver.key); None: no kubelet is asked."""

    def __init__(self, store: Store, tls: Path | None) -> None:
        self._store = store
        self._tls = tls

    async def execute(self, request: web.BaseRequest, pod: JsonObject) -> web.StreamResponse:
        """Until the command or the client ends. Raises `StatusError` while nothing runs yet."""
        container = read_options(pod, request.query).container
        client = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=_LARGEST)
        if not client.can_prepare(request).ok:
            raise bad_request("this API server speaks WebSocket alone: exec takes kubectl 1.31 or newer")
        url, asked = self._url(pod, container), _asked([*request.query.items()])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=await self._context())) as session:
            try:
                kubelet = await session.ws_connect(url, params=asked, protocols=(SUBPROTOCOL,), max_msg_size=_LARGEST)
            except (aiohttp.ClientError, OSError) as failure:
                raise StatusError(500, "InternalError", f"error dialing backend: {failure}") from failure
            async with kubelet:
                await client.prepare(request)
                with contextlib.suppress(ConnectionError):
                    await _join(client, kubelet)
                    await client.close()
        return client

    def _url(self, pod: JsonObject, container: str) -> str:
        name, node = pod["metadata"]["name"], pod.get("spec", {}).get("nodeName", "")
        if not node:
            raise bad_request(f"pod {name} does not have a host assigned")
        record = self._store.get("/nodes", "", node)
        status: JsonObject = record.obj.get("status", {}) if record is not None else {}
        addresses = {one["type"]: one["address"] for one in status.get("addresses") or ()}
        port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", 0)
        host = addresses.get("InternalDNS") or addresses.get("InternalIP")
        if self._tls is None or not host or not port:
            raise StatusError(501, "NotImplemented", f"node {node} has no kubelet that runs commands")
        return f"https://{host}:{port}/exec/{pod['metadata']['namespace']}/{name}/{container}"

    async def _context(self) -> ssl.SSLContext:
        assert self._tls is not None, "an address was found"
        folder = self._tls
        context = await asyncio.to_thread(ssl.create_default_context, cafile=folder / "ca.crt")
        await asyncio.to_thread(context.load_cert_chain, folder / "apiserver.crt", folder / "apiserver.key")
        return context


def _asked(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """PodExecOptions in the words of kubelet's API."""
    streams = [(_STREAMS[key], "1") for key, value in query if key in _STREAMS and is_true(value)]
    return [*((key, value) for key, value in query if key == "command"), *streams]


async def _join(client: _Socket, kubelet: _Socket) -> None:
    """Carry both ways until one side ends."""
    async with asyncio.TaskGroup() as tasks:
        ways = [tasks.create_task(_carry(client, kubelet)), tasks.create_task(_carry(kubelet, client))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()


async def _carry(source: _Socket, target: _Socket) -> None:
    """Who reads slowly holds the other side up, so that nothing piles up here."""
    with contextlib.suppress(ConnectionError):
        async for message in source:
            if message.type is not WSMsgType.BINARY:
                return
            await target.send_bytes(message.data)
