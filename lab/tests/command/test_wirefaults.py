"""A flood is bounded, whoever forgets about it."""

from __future__ import annotations

import asyncio
import socket

from lab.command.wirefaults import RATE, flood


def test_a_flood_ends_by_itself_after_so_many_frames() -> None:
    mouth, ear = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    mouth.setblocking(False)
    ear.setblocking(False)
    count = 0

    def make() -> bytes:
        nonlocal count
        count += 1
        return b"junk"

    with ear:
        asyncio.run(flood(mouth, make, 0.1))
        assert ear.recv(10) == b"junk"

    assert count == RATE / 10
    assert mouth.fileno() == -1


def test_a_flood_goes_on_where_the_queue_is_full() -> None:
    mouth, ear = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    mouth.setblocking(False)
    count = 0

    def make() -> bytes:
        nonlocal count
        count += 1
        return b"junk"

    with ear:  # nobody reads: the kernel queues ten
        asyncio.run(flood(mouth, make, 0.2))

    assert count == RATE / 5
