"""`kubectl exec` reaches the kubelet of the pod's node, which knows this server by its certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from kubedouble import ApiServer, make_mutual_tls
from objects import pod

PROTOCOL = "v5.channel.k8s.io"
EXEC = "/api/v1/namespaces/default/pods/web/exec"
ASKED = "?container=main&command=echo&command=a%2Bb+c&stdin=true&stdout=true&stderr=false"


async def kubelet(request: web.BaseRequest) -> web.StreamResponse:
    """Says what it was asked for, and then everything that it hears, until it hears the end."""
    socket = web.WebSocketResponse(protocols=(PROTOCOL,))
    await socket.prepare(request)
    await socket.send_bytes(f"\x01{request.path} {[*request.query.items()]}".encode())
    async for received in socket:
        await socket.send_bytes(b"\x01" + received.data[1:])
        if received.data == b"\x00end":
            break
    await socket.close()
    return socket


def scene(folder: Path, act: Callable[[ApiServer, ClientSession], Awaitable[None]], *, is_placed: bool = True) -> None:
    """A pod on a node with a kubelet; ``act`` has a client with the administrator's rights."""

    async def whole() -> None:
        tls = make_mutual_tls(["localhost"])
        tls.client.write(folder / "client")
        context = tls.server.context(folder / "server")
        context.load_verify_locations(cadata=tls.server.ca.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        runner = web.ServerRunner(web.Server(kubelet))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        server = ApiServer(kubelet_tls=folder / "client")
        await server.start()
        token = server.kubeconfig()["users"][0]["user"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with ClientSession(server.url, headers=headers) as session:
                await session.post("/api/v1/nodes", json={"metadata": {"name": "n1"}})
                await session.post("/api/v1/namespaces/default/pods", json=pod("web", "n1" if is_placed else ""))
                status = {
                    "addresses": [{"type": "InternalDNS", "address": "localhost"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": runner.addresses[0][1]}},
                }
                merge = {"Content-Type": "application/merge-patch+json"}
                await session.patch("/api/v1/nodes/n1/status", json={"status": status}, headers=merge)
                await act(server, session)
        finally:
            await server.stop()
            await runner.cleanup()

    asyncio.run(whole())


def connect(session: ClientSession, query: str = ASKED) -> Awaitable[ClientWebSocketResponse]:
    return session.ws_connect(EXEC + query, protocols=(PROTOCOL,))


def test_a_clients_messages_reach_the_kubelet_and_its_own_come_back(tmp_path: Path) -> None:
    async def act(_: ApiServer, session: ClientSession) -> None:
        socket = await connect(session)
        first = await socket.receive_bytes()
        wanted = [("command", "echo"), ("command", "a+b c"), ("input", "1"), ("output", "1")]
        assert first == f"\x01/exec/default/web/main {wanted}".encode()
        await socket.send_bytes(b"\x00typed")
        assert await socket.receive_bytes() == b"\x01typed"
        await socket.send_bytes(b"\x00end")
        assert await socket.receive_bytes() == b"\x01end"
        assert (await socket.receive()).type is WSMsgType.CLOSE

    scene(tmp_path, act)


def test_when_the_client_goes_the_kubelet_hears_of_it_and_the_server_goes_on(tmp_path: Path) -> None:
    async def act(_: ApiServer, session: ClientSession) -> None:
        for _again in range(3):
            socket = await connect(session)
            await socket.receive_bytes()
            await socket.close()
        assert (await session.get("/version")).status == 200

    scene(tmp_path, act)


async def refused(session: ClientSession, query: str = ASKED) -> int:
    with pytest.raises(WSServerHandshakeError) as info:
        await connect(session, query)
    return info.value.status


def test_what_can_not_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    async def act(_: ApiServer, session: ClientSession) -> None:
        assert await refused(session, "?container=none&command=true&stdout=true") == 400
        spdy = await session.post(EXEC + ASKED)
        assert (spdy.status, (await spdy.json())["message"]) == (
            400,
            "this API server speaks WebSocket alone: exec takes kubectl 1.31 or newer",
        )
        merge = {"Content-Type": "application/merge-patch+json"}
        gone = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
        await session.patch("/api/v1/nodes/n1/status", json=gone, headers=merge)
        assert await refused(session) == 500, "nobody listens there"
        await session.delete("/api/v1/nodes/n1")
        assert await refused(session) == 501

    scene(tmp_path, act)


def test_a_pod_on_no_node_runs_nothing(tmp_path: Path) -> None:
    async def act(_: ApiServer, session: ClientSession) -> None:
        assert await refused(session) == 400

    scene(tmp_path, act, is_placed=False)
