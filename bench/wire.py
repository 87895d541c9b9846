"""What is seen from outside the programs: a client's pings, and the addresses of the nodes' kernels as they change.

Owns the processes that watch, and the arithmetic on what they saw. Knows nothing of Kubernetes.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, pairwise
from pathlib import Path
from typing import Final

from lab.command import control
from lab.machine.processes import python_path

Span = tuple[float, float]
"""From, to: CLOCK_MONOTONIC in seconds."""

PROGRAMS: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Namespaces:
    """Starts programs in the networks of a lab's hosts; they end with us."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fds: dict[str, tuple[int, ...]] = {}

    def fd(self, host: str) -> int:
        """The descriptor of a host's network namespace."""
        if host not in self._fds:
            self._fds[host] = control.request(self._folder, "open", host=host).fds
        return self._fds[host][0]

    def start(self, host: str, *command: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a program; its output is a pipe, or that descriptor, which then takes its errors too."""
        fd = self.fd(host)
        enter = ["setpriv", "--pdeathsig", "TERM", "--", "nsenter", f"--net=/proc/self/fd/{fd}", "--"]
        environment = {**python_path(), "PATH": PROGRAMS, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        errors = None if output == subprocess.PIPE else subprocess.STDOUT
        return subprocess.Popen(
            [*enter, *command], pass_fds=(fd,), text=True, stdout=output, stderr=errors, env=environment
        )

    def run(self, host: str, *command: str, stdin: str | None = None) -> str:
        """What a program prints; raises CalledProcessError when it fails."""
        fd = self.fd(host)
        enter = ["nsenter", f"--net=/proc/self/fd/{fd}", "--"]
        environment = {"PATH": PROGRAMS, "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*enter, *command],
            pass_fds=(fd,),
            text=True,
            capture_output=True,
            check=True,
            input=stdin,
            timeout=60,
            env=environment,
        )
        return done.stdout


# --- a client's view -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trace:
    """What one address answered. Times are CLOCK_MONOTONIC in seconds."""

    address: str
    sent: tuple[float, ...]
    received: tuple[float | None, ...]

    def silence(self, begin: float = -math.inf, end: float = math.inf) -> float:
        """The longest time without a reply to what was sent in that span, in seconds; its edges count as replies."""
        asked = [at for at in self.sent if begin <= at <= end]
        if not asked:
            return 0.0
        replies = sorted(
            at for sent, at in zip(self.sent, self.received, strict=True) if at is not None and begin <= sent <= end
        )
        edges = [asked[0], *replies, max(asked[-1], *replies) if replies else asked[-1]]
        return max(later - earlier for earlier, later in pairwise(edges))

    def silences(self, at_least: float) -> list[Span]:
        """From one reply to the next, where that took so many seconds."""
        replies = sorted(at for at in self.received if at is not None)
        return [(since, to) for since, to in pairwise(replies) if to - since >= at_least]

    def lost(self, begin: float = -math.inf, end: float = math.inf) -> int:
        """How many requests of that span got no reply."""
        return sum(at is None and begin <= sent <= end for sent, at in zip(self.sent, self.received, strict=True))


class Pinger:
    """A client that pings; start it, let things happen, end it."""

    PROGRAM = "bench.pinger"

    def __init__(self, spaces: Namespaces, addresses: Sequence[str], interval: float, host: str = "client") -> None:
        self._process = spaces.start(host, sys.executable, "-m", self.PROGRAM, f"{interval}", *addresses)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun

    def end(self) -> dict[str, Trace]:
        """Stop, and give what was seen, by address."""
        self._process.terminate()
        output = self._process.communicate(timeout=60)[0]
        seen = (json.loads(line) for line in output.splitlines())
        return {one["address"]: Trace(one["address"], tuple(one["sent"]), tuple(one["received"])) for one in seen}


class Asker(Pinger):
    """One that asks web servers, each time by a new connection: kube-proxy and the pods have to do their part."""

    PROGRAM = "bench.asker"


# --- the kernels' view -----------------------------------------------------------------------------------------------

_LINE: Final = re.compile(r"\[(\S+)\] (Deleted )?\d+: (\S+)\s+inet6? (\S+?)/(\d+)")


@dataclass(frozen=True, slots=True)
class Change:
    """A kernel gained or lost an address."""

    at: float
    node: str
    link: str
    address: str
    is_there: bool
    prefix_length: int = 0


class AddressWatch:
    """Follows the addresses of nodes (``ip monitor``), with the kernel's view of when."""

    def __init__(self, spaces: Namespaces, nodes: Iterable[str], folder: Path) -> None:
        self._begin = time.monotonic()
        self._files: dict[str, Path] = {}
        self._processes = []
        self._offset = time.time() - time.monotonic()
        for node in nodes:
            self._files[node] = folder / f"addresses-{node.split('.')[0]}"
            with self._files[node].open("wb") as output:
                command = ("ip", "-oneline", "-tshort", "monitor", "address")
                self._processes.append(spaces.start(node, *command, output=output.fileno()))
        time.sleep(0.2)

    def end(self) -> list[Change]:
        """Stop, and give all changes in their order."""
        for process in self._processes:
            process.terminate()
            process.wait()
        return self.changes()

    def changes(self) -> list[Change]:
        """What was seen so far."""
        found = [
            change
            for node, file in self._files.items()
            for line in file.read_text().splitlines()
            if (change := parse_change(line, node, self._offset)) is not None
        ]
        return sorted(found, key=lambda change: change.at)


def parse_change(line: str, node: str, offset: float) -> Change | None:
    """A line of ``ip -oneline -tshort monitor address``; ``offset``: wall clock minus monotonic, in seconds."""
    match = _LINE.match(line)
    if match is None:
        return None
    stamp, deleted, link, address, prefix_length = match.groups()
    at = datetime.fromisoformat(stamp).timestamp() - offset
    return Change(at, node, link, address, deleted is None, int(prefix_length))


@dataclass(slots=True)
class Holdings:
    """Who had which address when, from changes and what was there before."""

    end: float
    spans: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    """By address and node."""

    def holders(self, address: str) -> Mapping[str, list[Span]]:
        return {node: spans for (held, node), spans in self.spans.items() if held == address}


def holdings(before: Mapping[str, Iterable[str]], changes: Iterable[Change], begin: float, end: float) -> Holdings:
    """``before``: the addresses that each node had at ``begin``."""
    since = {(address, node): begin for node, addresses in before.items() for address in addresses}
    found = Holdings(end)
    for change in changes:
        key = change.address, change.node
        if change.is_there:
            since.setdefault(key, change.at)
        elif key in since:
            found.spans.setdefault(key, []).append((since.pop(key), change.at))
    for key, at in since.items():
        found.spans.setdefault(key, []).append((at, end))
    return found


@dataclass(frozen=True, slots=True)
class Doubled:
    """A span in which two nodes had an address."""

    begin: float
    end: float
    nodes: frozenset[str]


def doubled(holders: Mapping[str, Iterable[Span]]) -> list[Doubled]:
    """The spans in which any two nodes had an address, in their order."""
    return sorted(
        (
            Doubled(max(begin, since), min(end, to), frozenset((one, other)))
            for one, other in combinations(sorted(holders), 2)
            for begin, end in holders[one]
            for since, to in holders[other]
            if max(begin, since) < min(end, to)
        ),
        key=lambda double: double.begin,
    )
