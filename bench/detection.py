"""How long until all others have declared a node dead, after its cable is cut: ours beside serf, on the same wires.

Real processes, one network namespace each, on one bridge.  In every run the cable of one node is cut, and the clock
stops when the last of the others reports the failure; then the cable is plugged in again.  Ours runs Config.fast(),
serf the LAN profile of memberlist.  Needs root.  Prints JSON lines: one per run and peer, then a summary.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS_PORT, KEYED_PORT, SERF_PORT = 7934, 7935, 7946
KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
GIVE_UP = 60.0
SERF_EVENT = re.compile(r"serf: EventMember(Join|Failed|Leave): (\S+)")


class Wire:
    """Nodes as namespaces on a bridge, itself in a namespace; gone with `close`."""

    def __init__(self, nodes: int) -> None:
        self._prefix = f"mlb{os.getpid()}-"
        self.nodes = range(1, nodes + 1)

    def open(self) -> None:
        self._ip("netns", "add", f"{self._prefix}s")
        self._ip("-n", f"{self._prefix}s", "link", "add", "br0", "type", "bridge")
        self._ip("-n", f"{self._prefix}s", "link", "set", "br0", "up")
        for node in self.nodes:
            space = self.space(node)
            self._ip("netns", "add", space)
            port = ("port" + str(node), "netns", f"{self._prefix}s")
            self._ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", *port)
            self._ip("-n", f"{self._prefix}s", "link", "set", f"port{node}", "master", "br0", "up")
            self._ip("-n", space, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
            self._ip("-n", space, "link", "set", "eth0", "up")
            self._ip("-n", space, "link", "set", "lo", "up")

    def close(self) -> None:
        for space in (f"{self._prefix}s", *(self.space(node) for node in self.nodes)):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    def space(self, node: int) -> str:
        return f"{self._prefix}{node}"

    def address(self, node: int) -> str:
        return f"10.99.0.{node}"

    def cut(self, node: int) -> None:
        self._ip("-n", f"{self._prefix}s", "link", "set", f"port{node}", "down")

    def plug_in(self, node: int) -> None:
        self._ip("-n", f"{self._prefix}s", "link", "set", f"port{node}", "up")

    @staticmethod
    def _ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)


class Cluster(ABC):
    """One member per node; remembers who believes what since when."""

    def __init__(self, title: str, wire: Wire) -> None:
        self.title = title
        self._wire = wire
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._beliefs: dict[tuple[int, str], tuple[str, float]] = {}

    @abstractmethod
    def command(self, node: int) -> list[str]:
        """What runs the member on a node."""

    @abstractmethod
    def heard(self, line: str) -> tuple[str, str, float] | None:
        """Member, state and time that a line of output reports."""

    def start(self) -> None:
        for node in self._wire.nodes:
            command = ["ip", "netns", "exec", self._wire.space(node), *self.command(node)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self._processes[node] = process
            threading.Thread(target=self._read, args=(node, process), daemon=True).start()

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def believe_dead(self, node: int, since: float) -> list[float] | None:
        """When each of the others noticed, in seconds after `since`; None unless all did."""
        others = [other for other in self._wire.nodes if other != node]
        seen = [self._beliefs.get((other, f"n{node}"), ("", 0.0)) for other in others]
        if any(state != "failed" or when < since for state, when in seen):
            return None
        return [when - since for _, when in seen]

    def are_one(self) -> bool:
        return all(
            self._beliefs.get((one, f"n{other}"), ("", 0.0))[0] == "alive"
            for one in self._wire.nodes
            for other in self._wire.nodes
        )

    @abstractmethod
    def rejoin(self, node: int) -> None:
        """Help the node whose cable is back to find the others."""

    def processor_time(self) -> float:
        """Seconds of CPU that all members have used."""
        ticks = 0
        for process in self._processes.values():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory of the largest member."""
        pages = [int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) for process in self._processes.values()]
        return max(pages) * os.sysconf("SC_PAGE_SIZE")

    def _read(self, node: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard = self.heard(line)
            if heard is not None:
                member, state, when = heard
                self._beliefs[node, member] = (state, when)


class Ours(Cluster):
    def __init__(self, title: str, wire: Wire, port: int, *options: str) -> None:
        super().__init__(title, wire)
        self._port = port
        self._options = options

    def command(self, node: int) -> list[str]:
        command = [sys.executable, "-m", "memberlist", "--profile", "fast", "--name", f"n{node}", *self._options]
        command += ["--bind", f"{self._wire.address(node)}:{self._port}"]
        return command + (["--join", f"{self._wire.address(1)}:{self._port}"] if node > 1 else [])

    def heard(self, line: str) -> tuple[str, str, float] | None:
        said: dict[str, Any] = json.loads(line)
        states = {"join": "alive", "update": "alive", "failed": "failed"}
        return (said["node"], states[said["event"]], said["time"]) if said["event"] in states else None

    def rejoin(self, node: int) -> None:
        """It needs no help: it asks those whom it knew."""


class Serf(Cluster):
    def command(self, node: int) -> list[str]:
        address = self._wire.address(node)
        command = ["serf", "agent", f"-node=n{node}", f"-bind={address}:{SERF_PORT}"]
        command += ["-rpc-addr=127.0.0.1:7373", "-profile=lan"]
        return command + (
            [f"-retry-join={self._wire.address(1)}:{SERF_PORT}", "-retry-interval=1s"] if node > 1 else []
        )

    def heard(self, line: str) -> tuple[str, str, float] | None:
        found = SERF_EVENT.search(line)
        if found is None:
            return None
        return found[2], {"Join": "alive", "Failed": "failed", "Leave": "left"}[found[1]], time.time()

    def rejoin(self, node: int) -> None:
        peer = self._wire.address(1 if node != 1 else 2)
        command = ["ip", "netns", "exec", self._wire.space(node), "serf", "join", f"{peer}:{SERF_PORT}"]
        subprocess.run(command, check=False, capture_output=True)


def wait_for_one_view(clusters: list[Cluster], seconds: float) -> None:
    deadline = time.time() + seconds
    while not all(cluster.are_one() for cluster in clusters):
        if time.time() > deadline:
            late = [cluster.title for cluster in clusters if not cluster.are_one()]
            raise TimeoutError(f"no cluster of all nodes within {seconds} s: {', '.join(late)}")
        time.sleep(0.02)


def one_run(wire: Wire, clusters: list[Cluster], node: int) -> dict[str, list[float]]:
    """Cut, wait for all to notice, heal.  Seconds per cluster until each of the others noticed."""
    start = time.time()
    wire.cut(node)
    results: dict[str, list[float]] = {}
    while len(results) < len(clusters):
        if time.time() - start > GIVE_UP:
            raise TimeoutError(f"n{node} was not noticed within {GIVE_UP} s")
        for cluster in clusters:
            noticed = cluster.believe_dead(node, start)
            if noticed is not None:
                results.setdefault(cluster.title, noticed)
        time.sleep(0.005)
    wire.plug_in(node)
    for cluster in clusters:
        cluster.rejoin(node)
    wait_for_one_view(clusters, GIVE_UP)
    return results


def show(**fields: object) -> None:
    print(json.dumps({"bench": "detection", **fields}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds over which idle CPU use is measured")
    parser.add_argument("--key", action="store_true", help="a second cluster of ours, encrypted, on the same wires")
    parser.add_argument("--without-serf", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("detection: needs root for network namespaces")
    with_serf = not options.without_serf
    if with_serf and shutil.which("serf") is None:
        sys.exit("detection: serf isn't installed (Debian: apt install serf), or give --without-serf")
    rng = random.Random(options.seed)
    wire = Wire(options.nodes)
    with ExitStack() as stack:
        stack.callback(wire.close)
        wire.open()
        clusters: list[Cluster] = [Ours("ours, fast", wire, OURS_PORT)]
        if options.key:
            clusters.append(Ours("ours, fast, with a key", wire, KEYED_PORT, "--key", KEY))
        if with_serf:
            clusters.append(Serf("serf, lan", wire))
        for cluster in clusters:
            stack.callback(cluster.close)
            cluster.start()
        wait_for_one_view(clusters, GIVE_UP)
        before = [cluster.processor_time() for cluster in clusters]
        time.sleep(options.idle)
        for cluster, then in zip(clusters, before, strict=True):
            used = (cluster.processor_time() - then) / options.idle / options.nodes
            show(
                peer=cluster.title,
                idle_cpu_percent=round(100 * used, 2),
                resident_mb=round(cluster.resident() / 1e6, 1),
            )
        times: dict[str, list[float]] = {cluster.title: [] for cluster in clusters}
        for run in range(1, options.runs + 1):
            time.sleep(rng.uniform(1.0, 2.0))  # so that cuts fall on no particular moment of anybody's interval
            node = rng.choice(wire.nodes)
            for title, noticed in one_run(wire, clusters, node).items():
                times[title].append(max(noticed))
                show(run=run, peer=title, node=f"n{node}", first_s=round(min(noticed), 3), all_s=round(max(noticed), 3))
        medians = {title: statistics.median(seen) for title, seen in times.items()}
        for title, seen in times.items():
            summary = {"median_s": round(medians[title], 3), "worst_s": round(max(seen), 3)}
            show(summary=title, nodes=options.nodes, runs=options.runs, **summary)
        if with_serf:
            show(summary="ratio of medians", serf_to_ours=round(medians["serf, lan"] / medians["ours, fast"], 1))


if __name__ == "__main__":
    main()
