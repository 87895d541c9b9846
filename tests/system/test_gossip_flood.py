"""Members under a flood of junk: nobody doubts anybody."""

from __future__ import annotations

import base64
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.gossip_peers import PORT, Addresses, Ours, eventually, stage

KEY = base64.b64encode(b"0123456789abcdef").decode()
PACKETS_PER_SECOND = 20_000
SECONDS = 4


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 200))


def plausible(rng: random.Random) -> bytes:
    """An acknowledgement by its first bytes; only decoding shows that it is junk."""
    return b"\x02\x81\xff" + noise(rng)


def sealed(rng: random.Random) -> bytes:
    """What somebody with another key sends; only decrypting shows it."""
    return b"\x01" + rng.randbytes(rng.randrange(29, 200))


def flood(target: str, junk: list[bytes]) -> int:
    """Send to one member at a steady pace; how many packets."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < SECONDS:
            due = int(elapsed * PACKETS_PER_SECOND)
            while sent < due:
                sender.sendto(junk[sent % len(junk)], (target, PORT))
                sent += 1
            time.sleep(0.001)
    return sent


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [noise, plausible, sealed])
@pytest.mark.parametrize("options", [(), ("--key", KEY)], ids=["plain", "encrypted"])
def test_a_flood_of_junk_makes_nobody_suspect(
    tmp_path: Path, options: tuple[str, ...], kind: Callable[[random.Random], bytes]
) -> None:
    rng = random.Random(1)
    addresses = Addresses(random.Random())
    with stage() as enter:
        members = [Ours(f"n{n}", addresses.next(), tmp_path, "--profile", "fast", *options) for n in range(3)]
        for member in members:
            enter(member)
            member.start(join=None if member is members[0] else members[0].address)
        names = {member.name for member in members}
        eventually(lambda: all(member.alive() == names for member in members), seconds=10, what="one cluster of three")

        sent = flood(members[1].address, [kind(rng) for _ in range(500)])
        time.sleep(1)

        assert sent > 0.9 * PACKETS_PER_SECOND * SECONDS
        for member in members:
            assert member.is_running
            assert {event["event"] for event in member.events} <= {"join", "user"}
