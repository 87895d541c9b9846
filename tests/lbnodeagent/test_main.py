"""What the agent's program does around its halves."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from lbnodeagent.__main__ import serve
from purelb.metrics import new_registry
from purelb.page import Page


def test_a_page_that_cannot_be_served_yet_is_waited_for() -> None:
    """As where the node's address comes after its agent, or the port is that of an agent which is just stopping."""

    async def scene() -> bytes:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            serving = asyncio.create_task(serve(lambda: Page(new_registry(), lambda: None), "127.0.0.1", port))
            await asyncio.sleep(0.1)
            assert not serving.done()
        try:
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(OSError):
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    await asyncio.sleep(0.05)
                writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    assert asyncio.run(scene()).endswith(b"ok\n")
