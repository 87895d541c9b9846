"""The forwarder carries a conversation both ways, and its ends."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from lab.wire.forward import Forwarder


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
                carrying = tasks.create_task(Forwarder([door], "127.0.0.1", port).run())
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
            carrying = tasks.create_task(Forwarder([door], "127.0.0.1", port).run())
            reader, writer = await asyncio.open_connection(*door.getsockname())
            answer = await reader.read()
            writer.close()
            carrying.cancel()
        return answer

    assert asyncio.run(knock()) == b""


class Way:
    """A way to a server that says back what it hears."""

    def __init__(self) -> None:
        self.door = socket.create_server(("127.0.0.1", 0))

    async def __aenter__(self) -> Way:
        self._server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.forwarder = Forwarder([self.door], "127.0.0.1", port)
        self._carrying = asyncio.create_task(self.forwarder.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._carrying.cancel()
        await asyncio.gather(self._carrying, return_exceptions=True)
        self._server.close()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.door.getsockname())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
        if data == b"end":
            break
    writer.close()


async def says(way: tuple[asyncio.StreamReader, asyncio.StreamWriter], word: bytes) -> bytes | None:
    """What comes back; None: nothing, for a while."""
    way[1].write(word)
    try:
        async with asyncio.timeout(0.3):
            return await way[0].read(100)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def test_a_half_open_connection_never_says_anything_again_not_even_its_end() -> None:
    async def converse() -> None:
        async with Way() as way:
            before = await way.open()
            assert await says(before, b"one") == b"one"
            way.forwarder.fail("half-open")
            meanwhile = await way.open()
            assert await says(before, b"end") is None
            assert await says(meanwhile, b"two") is None
            way.forwarder.heal()
            assert await says(before, b"three") is None
            after = await way.open()
            assert await says(after, b"four") == b"four"
            for _, writer in (before, meanwhile, after):
                writer.close()

    asyncio.run(converse())


def test_a_way_that_is_down_cuts_what_stands_and_what_comes() -> None:
    async def converse() -> None:
        async with Way() as way:
            before = await way.open()
            assert await says(before, b"one") == b"one"
            way.forwarder.fail("down")
            assert await says(before, b"two") == b""
            assert await says(await way.open(), b"three") == b""
            way.forwarder.heal()
            after = await way.open()
            assert await says(after, b"four") == b"four"
            after[1].close()

    asyncio.run(converse())


def test_a_way_that_resets_does_so_to_what_stands_and_to_whoever_asks() -> None:
    async def converse() -> None:
        async with Way() as way:
            before = await way.open()
            assert await says(before, b"one") == b"one"
            way.forwarder.fail("reset")
            after = await way.open()
            after[1].write(b"two")
            for reader, _ in (before, after):
                with pytest.raises(ConnectionResetError):
                    await reader.read(100)
            way.forwarder.heal()
            healed = await way.open()
            assert await says(healed, b"three") == b"three"
            healed[1].close()

    asyncio.run(converse())


def test_a_client_that_resets_first_is_nothing_to_speak_of(caplog: pytest.LogCaptureFixture) -> None:
    async def converse() -> None:
        async with Way() as way:
            way.forwarder.fail("reset")
            client = socket.create_connection(way.door.getsockname())
            await asyncio.sleep(0.05)  # it is accepted, and waited for
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await asyncio.sleep(0.05)

    asyncio.run(converse())
    assert not caplog.records


def test_a_diverted_way_leads_elsewhere_until_it_is_healed_and_all_come_anew() -> None:
    async def converse() -> None:
        async with Way() as way, await asyncio.start_server(_shout, "127.0.0.1", 0) as other:
            before = await way.open()
            assert await says(before, b"one") == b"one"
            way.forwarder.divert(other.sockets[0].getsockname()[1])
            assert await says(before, b"two") == b""
            diverted = await way.open()
            diverted[1].write(b"three")
            diverted[1].write_eof()
            assert await diverted[0].read() == b"THREE"
            diverted[1].close()
            way.forwarder.heal()
            healed = await way.open()
            assert await says(healed, b"four") == b"four"
            healed[1].close()

    asyncio.run(converse())


def test_on_a_slow_way_answers_come_late() -> None:
    async def converse() -> None:
        async with Way() as way:
            connection = await way.open()
            way.forwarder.fail("slow")
            assert await says(connection, b"one") is None
            assert await connection[0].read(100) == b"one"
            connection[1].close()

    asyncio.run(converse())
