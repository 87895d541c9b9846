"""What is read from BIRD 2.0.12's replies, captured on a node of the lab, and from sockets where no BIRD is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbnodeagent.bird import watch as birdwatch
from lbnodeagent.bird.status import BirdStatus, is_complete, parse_status
from lbnodeagent.bird.watch import ask_bird

REPLY = Path(__file__).with_name("bird-protocols.txt").read_bytes()
IDLE = REPLY.replace(
    b"1002-uplink1    BGP        ---        up     23:17:03.009  Established",
    b"1002-uplink1    BGP        ---        start  23:17:03.009  Active     ",
)


def test_an_established_session_and_its_exported_routes_are_counted() -> None:
    status = parse_status(REPLY)

    assert status == BirdStatus(is_up=True, sessions=1, protocols=1, exported=2)
    assert status.is_routing
    assert status.trouble is None


def test_a_session_that_is_not_up_routes_nothing() -> None:
    status = parse_status(IDLE)

    assert (status.protocols, status.sessions) == (1, 0)
    assert status.trouble == "BIRD has no session: none of its 1 is up"


def test_a_bird_without_any_routing_protocol_says_so() -> None:
    status = parse_status(b"0001 BIRD 2.0.12 ready.\n1002-direct1 Direct --- up 23:17:01.392\n0000 \n")

    assert status.trouble == "BIRD has no protocol that would tell a router (BGP, OSPF, RIP or Babel)"


def test_an_error_is_no_status() -> None:
    assert parse_status(b"9001 syntax error, unexpected CF_SYM_UNDEFINED\n") == BirdStatus(
        is_up=False, error="syntax error, unexpected CF_SYM_UNDEFINED"
    )


def test_a_reply_ends_with_its_last_line_and_not_with_the_greeting() -> None:
    assert not is_complete(b"0001 BIRD 2.0.12 ready.\n")
    assert not any(is_complete(REPLY[:end]) for end in range(0, len(REPLY) - 1, 7))
    assert is_complete(REPLY)


def test_without_a_socket_bird_is_not_up(tmp_path: Path) -> None:
    status = asyncio.run(ask_bird(tmp_path / "bird.ctl"))

    assert status.trouble == f"BIRD does not answer: {tmp_path / 'bird.ctl'}: No such file or directory"


def test_a_bird_that_hangs_or_hangs_up_is_not_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birdwatch, "PATIENCE", 0.1)

    async def asked_of(greeting: bytes, *, hang_up: bool) -> BirdStatus:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await writer.drain()
            while not hang_up and await reader.read(64):
                pass
            writer.close()  # from Python 3.12.1 on the server's end waits for it

        socket = tmp_path / "bird.ctl"
        socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(serve, socket)
        async with server:
            return await ask_bird(socket)

    assert "no answer in" in asyncio.run(asked_of(b"0001 BIRD 2.0.12 ready.\n", hang_up=False)).error
    assert asyncio.run(asked_of(b"0001 BIRD 2.0.12 ready.\n", hang_up=True)).error
