"""What a look finds, with real sockets on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from lbnodeagent.gate import watch
from lbnodeagent.gate.looks import Look, Looked
from lbnodeagent.gate.watch import GateWatch, ask_health, knock
from purelb.settings import HostPort

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(text: bytes) -> Respond:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        writer.close()

    return respond


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def asked(respond: Respond) -> Look:
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        return await ask_health(HostPort("127.0.0.1", server.sockets[0].getsockname()[1]))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("respond", "found"),
    [
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Look.ANSWERS),
        (answering(b"HTTP/1.0 503 Service Unavailable\r\n\r\n" + b"x" * 100_000), Look.SAYS_NO),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), Look.SILENT),
        (answering(b""), Look.SILENT),
        (silent, Look.SILENT),
    ],
    ids=["well", "says no", "something else", "hangs up", "frozen"],
)
def test_a_look_at_kube_proxy(respond: Respond, found: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.2)

    assert asyncio.run(asked(respond)) is found


def test_where_nothing_listens_it_is_not_there() -> None:
    nowhere = HostPort("127.0.0.1", free_port())

    assert asyncio.run(ask_health(nowhere)) is Look.REFUSED
    assert asyncio.run(knock(nowhere)) is Look.REFUSED


def test_an_address_that_the_node_does_not_have_is_one_where_nothing_listens() -> None:
    assert asyncio.run(ask_health(HostPort("fe80::1", 10256))) is Look.REFUSED


def test_all_places_are_tried_where_nothing_listens_and_the_probe_needs_no_word() -> None:
    async def first_look() -> Looked:
        server = await asyncio.start_server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), "127.0.0.1", 0)
        async with server:
            there = HostPort("127.0.0.1", server.sockets[0].getsockname()[1])
            return await GateWatch([HostPort("127.0.0.1", free_port()), there], there).look()

    looked = asyncio.run(first_look())
    assert looked == Looked(Look.ANSWERS, Look.ANSWERS)
    assert looked.is_well


def test_with_nothing_to_look_at_it_is_blind() -> None:
    assert GateWatch([], None).is_blind
    assert not GateWatch([], HostPort("10.96.0.1", 443)).is_blind
