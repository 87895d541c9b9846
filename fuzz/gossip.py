"""Coverage-guided fuzzing of what the gossip reads from the network: ``make fuzz``.

An input is one byte that says what it is (packet or stream, with a key or without), then its bytes. It must never raise
anything but WireError where that is promised, never change the members of a cluster with a key, and stay within the
memory that libFuzzer is told (-rss_limit_mb). Seeds are the captured packets and streams of the tests.
"""

from __future__ import annotations

import ipaddress
import json
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["memberlist"]):
    from memberlist.config import Config
    from memberlist.core import Core
    from memberlist.crypto import Keyring
    from memberlist.errors import WireError
    from memberlist.messages import Endpoint

VECTORS = Path(__file__).parents[1] / "tests" / "memberlist" / "vectors.json"
OWN = ipaddress.IPv4Address("10.31.188.1")
SOURCE = Endpoint(ipaddress.IPv4Address("10.31.188.11"), 7934)
STREAM, KEY = 1, 2
PIECE = 1000
"""Bytes of a stream that arrive at once."""


def core_of(kind: int) -> Core:
    keyring = Keyring([b"not the key of the seeds, but one"[:32]]) if kind & KEY else None
    core = Core("master", OWN, 7934, config=Config.fast(), rng=random.Random(1), keyring=keyring)
    core.start(0.0)
    core.outputs()
    return core


def read_stream(core: Core, data: bytes) -> None:
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


def one_input(data: bytes) -> None:
    if not data:
        return
    kind = data[0]
    core = core_of(kind)
    before = core.members()
    if kind & STREAM:
        read_stream(core, data[1:])
    else:
        core.receive_packet(1.0, data[1:], SOURCE)
    core.tick(max(1.0, core.next_deadline()))
    core.outputs()
    if kind & KEY and dict(core.members()) != dict(before):
        raise AssertionError("an input that nobody with the key sealed changed the members")


def seed(folder: Path) -> None:
    """The captured bytes, readable ones without a key; those that were encrypted must be refused with one."""
    for vector in json.loads(VECTORS.read_text()):
        kind = STREAM if vector["transport"] == "tcp" else 0
        if vector["key_base64"]:
            kind |= KEY
        (folder / vector["name"]).write_bytes(bytes([kind]) + bytes.fromhex(vector["hex"]))


def main() -> None:
    """Arguments are libFuzzer's, such as -max_total_time=60."""
    with tempfile.TemporaryDirectory() as folder:
        seed(Path(folder))
        atheris.Setup([*sys.argv, "-rss_limit_mb=1024", "-timeout=5", "-print_final_stats=1", folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
