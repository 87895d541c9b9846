"""The forwarder carries a conversation both ways, and its ends."""

from __future__ import annotations

import asyncio
import socket

from lab.wire.forward import forward


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers only when the client has ended: the end must come through."""
    writer.write((await reader.read()).upper())
    await writer.drain()
    writer.close()


def test_a_conversation_passes_both_ways_to_its_end() -> None:
    async def converse() -> list[bytes]:
        async with await asyncio.start_server(_shout, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            door = socket.create_server(("127.0.0.1", 0))
            address = door.getsockname()
            answers = []
            async with asyncio.TaskGroup() as tasks:
                carrying = tasks.create_task(forward([door], "127.0.0.1", port))
                for word in (b"one", b"x" * 1_000_000):
                    reader, writer = await asyncio.open_connection(*address)
                    writer.write(word)
                    writer.write_eof()
                    answers.append(await reader.read())
                    writer.close()
                carrying.cancel()
            return answers

    assert asyncio.run(converse()) == [b"ONE", b"X" * 1_000_000]


def test_a_server_that_is_down_ends_the_clients_connection() -> None:
    async def knock() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        door = socket.create_server(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as tasks:
            carrying = tasks.create_task(forward([door], "127.0.0.1", port))
            reader, writer = await asyncio.open_connection(*door.getsockname())
            answer = await reader.read()
            writer.close()
            carrying.cancel()
        return answer

    assert asyncio.run(knock()) == b""
