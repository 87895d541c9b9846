"""What strangers may send to the sockets of a member."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import socket

import pytest

from memberlist import (
    Config,
    Keyring,
)
from parties import alive, at, party, run, until


async def say(where: tuple[str, int], data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*where)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    return b""


@pytest.mark.parametrize("key", [None, b"k" * 16])
def test_junk_on_both_sockets_does_no_harm(key: bytes | None) -> None:
    rng = random.Random(1)
    ring = None if key is None else Keyring([key])

    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one", keyring=ring)
            two = await guests.member("two", keyring=ring)
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)

            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as junk:
                for _ in range(2000):
                    kind = bytes((rng.choice([0, 1, 2, 3, 4, 5, 7, 9, 11, 12, 244]),))
                    junk.sendto(kind + rng.randbytes(rng.randrange(60)), at(one))
                    if rng.random() < 0.05:
                        await asyncio.sleep(0)
            for _ in range(60):
                await say(at(one), bytes((rng.choice([0, 6, 8, 9, 10, 244]),)) + rng.randbytes(rng.randrange(80)))
            await asyncio.sleep(0.5)

            assert alive(one) >= {"one", "two"}
            assert alive(two) >= {"one", "two"}
            assert not guests.running["one"].done()
            assert sum(one.counters.values()) > 1500

    run(story())


def test_who_floods_is_not_heard_any_more_and_a_member_at_the_same_address_is() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)

            junk = b"\x02\x81 that only decoding shows to be junk"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for _ in range(300):
                    stranger.sendto(junk, at(one))
                await until(lambda: one.counters["malformed"] == 300)
                dropped = one.counters["packets dropped"]
                for _ in range(300):
                    stranger.sendto(junk, at(one))
                assert one.counters["packets dropped"] == dropped + 300
                assert one.counters["sources banned"] == 1

            await asyncio.sleep(0.3)
            assert alive(one) == alive(two) == {"one", "two"}
            three = await guests.member("three")
            assert await three.join([at(two)]) == 1
            await until(lambda: alive(one) == {"one", "two", "three"})

    run(story())


def test_a_stream_that_can_not_be_read_is_answered_with_an_error() -> None:
    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one")

            answer = await say(at(one), b"\xffnonsense")

            assert answer.startswith(b"\x0d\x81\xa5Error")

    run(story())


def test_streams_that_never_end_are_closed() -> None:
    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one", config=dataclasses.replace(Config.fast(), tcp_timeout=0.3))
            silent = [await asyncio.open_connection(*at(one)) for _ in range(3)]

            await asyncio.gather(*(reader.read() for reader, _ in silent))
            for _, writer in silent:
                writer.close()

    run(story())


def test_streams_that_never_end_keep_nobody_out() -> None:
    async def story() -> None:
        async with party() as guests:
            patient = dataclasses.replace(Config.fast(), tcp_timeout=15.0)  # none ends by itself meanwhile
            one, two = await guests.member("one", config=patient), await guests.member("two", config=patient)
            silent = [await asyncio.open_connection(*at(one)) for _ in range(130)]

            assert await two.join([at(one)]) == 1
            assert one.counters["streams displaced"] >= 3
            for _, writer in silent:
                writer.close()

    run(story())
