"""What befalls the server as a whole: nothing of it is lost, and who asked for it hears how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from aiohttp import web

from kubedouble.listeners import Listeners
from kubedouble.server import ApiServer


def test_what_goes_wrong_on_the_servers_loop_is_raised_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn() -> None:
        raise OSError("the disk is full")

    async def story() -> None:
        server = ApiServer()
        await server.start()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(server.store, "compact", torn)
                with pytest.raises(OSError, match="the disk is full"):
                    await asyncio.to_thread(server.faults.expire)
            assert await asyncio.to_thread(server.faults.expire) == 0
        finally:
            await server.stop()

    asyncio.run(story())


def is_open(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_an_address_that_can_not_refuse_costs_no_other_its_socket() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async def story() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        listeners = Listeners(runner, None)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            await listeners.add(one)
        sockets[1].shutdown(socket.SHUT_RDWR)  # so it is shut down already when its turn comes

        with pytest.raises(OSError, match="not connected"):
            await listeners.refuse()
        await listeners.refuse()
        assert [is_open(port) for port in ports] == [False, False, False]

        await listeners.accept()
        assert [await asyncio.to_thread(is_open, port) for port in ports] == [True, True, True]
        listeners.close()
        await runner.cleanup()

    asyncio.run(story())
