"""keepalived on the lab's nodes, each instance with a VIP of its own: what operators compare us with.

Owns its configuration and its processes. The backups' priorities are close below 255, so that VRRP's skew time
(RFC 5798 section 6.1: (256 - priority) / 256 of the interval) doesn't count against it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cluster import LINK, Cluster, eventually
from bench.wire import PROGRAMS


@dataclass(frozen=True, slots=True)
class Instance:
    """One VRRP instance: its title, VIP, router id and advertisement interval in seconds.

    Less than a second takes version 3 of VRRP (RFC 5798 section 5.2.7); keepalived's default is 2.
    """

    title: str
    vip: str
    router: int
    interval: float


INSTANCES: Final = (
    Instance("keepalived, default (adverts each 1 s)", "10.31.200.1", 51, 1.0),
    Instance("keepalived, adverts each 0.1 s", "10.31.200.2", 52, 0.1),
)


_FILES: Final = (("-f", "conf"), ("-p", "pid"), ("-r", "vrrp-pid"))


def find_keepalived() -> str | None:
    """The program, or None where it isn't installed."""
    return shutil.which("keepalived", path=PROGRAMS)


def version(program: str) -> str:
    """As ``Keepalived v2.2.7``."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return " ".join((done.stderr or done.stdout).split()[:2])


class Keepalived:
    """keepalived on all nodes; ``first`` has the VIPs as long as it lives."""

    def __init__(self, program: str, lab: Cluster, first: str) -> None:
        self._program = program
        self._lab = lab
        self._first = first
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Keepalived:
        for node in self._lab.nodes:
            self.start(node)
        eventually("keepalived doesn't get its addresses", self.is_home)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(10)

    def start(self, node: str) -> None:
        """Start it on a node, when the one before has ended."""
        if node in self._processes:
            self._processes[node].wait(10)
        others = [other for other in self._lab.nodes if other != self._first]
        rank = [self._first, *others].index(node)
        folder = self._lab.scratch / f"keepalived-{rank}"
        folder.mkdir(exist_ok=True)
        (folder / "conf").write_text(configuration(254 - rank, INSTANCES))
        files = [part for flag, name in _FILES for part in (flag, str(folder / name))]
        with (folder / "log").open("ab") as log:
            options = ("--dont-fork", "--vrrp", "--log-console", *files)
            self._processes[node] = self._lab.spaces.start(node, self._program, *options, output=log.fileno())

    def stop(self, node: str) -> None:
        """Send SIGTERM to the one on a node: it says good-bye with an advert of priority 0."""
        self._processes[node].terminate()

    def is_home(self) -> bool:
        """Whether the first node alone has all VIPs."""
        held = self._lab.holders(instance.vip for instance in INSTANCES)
        return all(nodes == [self._first] for nodes in held.values())


def configuration(priority: int, instances: Sequence[Instance]) -> str:
    """keepalived.conf of one node."""
    blocks = [
        f"""
vrrp_instance {Path(instance.vip).suffix[1:]} {{
    state BACKUP
    version {3 if instance.interval < 1 else 2}
    interface {LINK}
    virtual_router_id {instance.router}
    priority {priority}
    advert_int {instance.interval:g}
    virtual_ipaddress {{
        {instance.vip}/32 dev {LINK}
    }}
}}"""
        for instance in instances
    ]
    return "global_defs {\n    router_id lab\n}\n" + "\n".join(blocks) + "\n"
