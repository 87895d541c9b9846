"""Junk at a steady pace against one member of three, beside busy processes: who is doubted, and what it costs.

Real processes on loopback.  Junk is of several kinds, from noise to packets that only decoding or decrypting shows to
be worthless.  Prints JSON lines: one per kind, with and without a key.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORT = 7934
MEMBERS = 3
KEY = base64.b64encode(b"0123456789abcdef").decode()
TYPES = (0, 1, 2, 3, 4, 5, 7, 9, 11, 12)
"""First bytes of messages that a packet may hold; user messages are left out, as any bytes are a good one."""


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 200))


def headed(rng: random.Random) -> bytes:
    """The first byte of a message, and noise."""
    return bytes((rng.choice(TYPES),)) + noise(rng)


def plausible(rng: random.Random) -> bytes:
    """Message type and the beginning of a map, and noise: only decoding shows that it is junk."""
    return bytes((rng.choice((0, 1, 2, 3, 4, 5, 9, 11)), 0x80 | rng.randrange(1, 16))) + noise(rng)


def sealed(rng: random.Random) -> bytes:
    """What a member with another key would send."""
    return b"\x01" + rng.randbytes(rng.randrange(30, 200))


def nothing(_: random.Random) -> bytes:
    """No flood, to compare with."""
    return b""


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    kind.__name__: kind for kind in (nothing, noise, headed, plausible, sealed)
}
FROM_A_MEMBER = [f"{kind} from a member's address" for kind in ("plausible", "sealed")]
"""A source that can't be banned."""


class Member:
    """`python -m memberlist` as a process; counts what it says."""

    def __init__(self, name: str, address: str, join: str | None, options: list[str]) -> None:
        command = [sys.executable, "-m", "memberlist", "--profile", "fast", "--name", name]
        command += ["--bind", f"{address}:{PORT}", *options, *(["--join", f"{join}:{PORT}"] if join else [])]
        self.address = address
        self.events: Counter[str] = Counter()
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def processor_time(self) -> float:
        """Seconds of CPU used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events[json.loads(line)["event"]] += 1


def flood(source: str, target: str, junk: list[bytes], per_second: int, seconds: float) -> int:
    """Send junk at a steady pace; how many packets went out."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            due = int(elapsed * per_second)
            while sent < due:
                sender.sendto(junk[sent % len(junk)], (target, PORT))
                sent += 1
            time.sleep(0.001)
    return sent


def one_run(kind: str, key: bool, options: argparse.Namespace) -> dict[str, object]:
    rng = random.Random(options.seed)
    what, _, where = kind.partition(" from ")
    junk = [KINDS[what](rng) for _ in range(500)]
    net = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
    with ExitStack() as stack:
        members: list[Member] = []
        for number in range(1, MEMBERS + 1):
            join = f"{net}.1" if members else None
            member = Member(f"n{number}", f"{net}.{number}", join, ["--key", KEY] if key else [])
            stack.callback(member.close)
            members.append(member)
        deadline = time.monotonic() + 20
        while any(member.events["join"] < MEMBERS for member in members):
            if time.monotonic() > deadline:
                raise TimeoutError("no cluster of three within 20 s")
            time.sleep(0.05)
        for _ in range(options.workers):
            worker = subprocess.Popen([sys.executable, "-c", "while True: sum(range(100_000))"])
            stack.callback(worker.wait)
            stack.callback(worker.kill)
        before = members[1].processor_time()
        source = members[0].address if where else "127.0.0.1"
        sent = flood(source, members[1].address, junk, options.packets if what != "nothing" else 0, options.seconds)
        used = members[1].processor_time() - before
        time.sleep(1)
        return {
            "kind": kind,
            "key": key,
            "workers": options.workers,
            "load": round(os.getloadavg()[0], 1),
            "packets_per_s": round(sent / options.seconds),
            "victim_cpu_percent": round(100 * used / options.seconds, 1),
            "suspicions_seen": sum(member.events["suspect"] for member in members),
            "false_alarms": sum(member.events["failed"] for member in members),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packets", type=int, default=20_000, help="per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="busy processes beside the members")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, *FROM_A_MEMBER], default=[*KINDS, *FROM_A_MEMBER])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failed = 0
    for kind in options.kinds:
        for key in (False, True):
            result = one_run(kind, key, options)
            failed += bool(result["false_alarms"])
            print(json.dumps({"bench": "gossip_flood", **result}), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
