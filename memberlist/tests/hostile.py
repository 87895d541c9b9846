"""One input for the gossip, as a fuzzer or a test makes it: its first byte says what it is, the rest is its bytes.

Owns what must hold for any input: nothing but WireError is raised where that is promised, and nobody without the key
changes the members of a cluster that has one.
"""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Iterator
from pathlib import Path

from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.errors import WireError
from memberlist.messages import Endpoint
from memberlist.packets import PacketCodec
from memberlist.streams import StreamCodec

VECTORS = Path(__file__).with_name("vectors.json")
OWN = ipaddress.IPv4Address("10.31.188.1")
SOURCE = Endpoint(ipaddress.IPv4Address("10.31.188.11"), 7934)
STREAM, KEY, INSIDER = 1, 2, 4
"""Bits of the first byte: by TCP; to a member with a key; sealed with that key, so that what lies behind is reached."""
PIECE = 1000
"""Bytes of a stream that arrive at once."""


def try_input(data: bytes) -> None:
    """Raises whatever goes wrong."""
    if not data:
        return
    kind, payload = data[0], data[1:]
    keyring = Keyring([b"not the key of the seeds, but one"[:32]]) if kind & KEY else None
    core = Core("master", OWN, 7934, config=Config.fast(), rng=random.Random(1), keyring=keyring)
    core.start(0.0)
    core.outputs()
    before = dict(core.members())
    is_insider = bool(kind & INSIDER)
    if kind & STREAM:
        sealed = StreamCodec(Config.fast(), keyring, "").seal(payload, dialled=True) if is_insider else payload
        _read_stream(core, sealed)
    else:
        sealed = PacketCodec(Config.fast(), keyring, "").seal(payload, crc=False) if is_insider else payload
        core.receive_packet(1.0, sealed, SOURCE)
    core.tick(max(1.0, core.next_deadline()))
    core.outputs()
    if keyring is not None and not is_insider and dict(core.members()) != before:
        raise AssertionError("an input that nobody with the key sealed changed the members")


def seeds() -> Iterator[tuple[str, bytes]]:
    """The captured bytes by name; those that were encrypted go to a member with another key."""
    for vector in json.loads(VECTORS.read_text()):
        kind = STREAM if vector["transport"] == "tcp" else 0
        wire = bytes.fromhex(vector["hex"])
        if vector["key_base64"]:
            yield vector["name"], bytes([kind | KEY]) + wire
        else:
            yield vector["name"], bytes([kind]) + wire
            yield f"{vector['name']}_sealed", bytes([kind | KEY | INSIDER]) + wire


def _read_stream(core: Core, data: bytes) -> None:
    decoder = core.request_decoder()
    for start in range(0, len(data), PIECE):
        try:
            message = decoder.feed(data[start : start + PIECE])
        except WireError as error:
            core.refuse_request(1.0, error, SOURCE)
            return
        if message is not None:
            core.receive_request(1.0, message, SOURCE)
            return
