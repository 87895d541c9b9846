"""What an agent costs: memory with 1,000 Services, processor time at rest, and how fast 1,000 VIPs are placed.

A lab of five nodes with the programs as they are deployed, and keepalived's processes beside them for comparison.
Memory and processor time are the kernel's figures (/proc). Prints JSON lines. Needs root.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from bench.cluster import Cluster, cluster, eventually, service, vips_of
from bench.report import figure
from bench.wire import AddressWatch

BENCH: Final = "footprint"
DUMMY: Final = "kube-lb0"
CHUNK: Final = 250
"""Services in one call of kubectl."""
PEER: Final = "PureLB v0.13's agent (Go) requests no memory; MetalLB's speaker takes about 20-60 MiB"


def create(lab: Cluster, names: list[str], vips: list[str | None], group: str) -> None:
    """Many Services, in chunks."""
    for at in range(0, len(names), CHUNK):
        pairs = zip(names[at : at + CHUNK], vips[at : at + CHUNK], strict=True)
        lab.apply(service(name, vip, group) for name, vip in pairs)


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def agents(lab: Cluster) -> list[int]:
    return [pid for node in lab.nodes if (pid := lab.agent(node)) is not None]


def idle(lab: Cluster, seconds: float, count: int) -> bool:
    """Processor time of the agents with so many Services in which nothing happens."""
    vips: list[str | None] = []
    for node in lab.nodes:
        vips += vips_of(node, lab.nodes, count // len(lab.nodes))
    create(lab, [f"idle-{number}" for number in range(len(vips))], vips, "wire")
    lab.settle([vip for vip in vips if vip])
    time.sleep(15)  # events and annotations are written
    pids = agents(lab)
    before = [processor(pid) for pid in pids]
    time.sleep(seconds)
    shares = [100 * (processor(pid) - earlier) / seconds for pid, earlier in zip(pids, before, strict=True)]
    worst = max(shares)
    lab.delete_services()
    what = f"processor time of an agent at rest, {len(lab.nodes)} nodes, {count} Services"
    return bool(
        figure(BENCH, what, worst, "% of a core", "<= 2", worst <= 2, median=round(statistics.median(shares), 2))
    )


def thousand(lab: Cluster, count: int) -> bool:
    """So many routed VIPs at once: when the last one is on ``kube-lb0``, and what an agent weighs then."""
    empty = max(resident(pid) for pid in agents(lab))
    watch = AddressWatch(lab.spaces, lab.nodes, lab.scratch)
    create(lab, [f"routed-{number}" for number in range(count)], [None] * count, "routed")
    eventually("not all VIPs are placed", lambda: all(placed(lab, node) >= count for node in lab.nodes), 180)
    watch.end()
    time.sleep(20)  # events are written, and the rest of the memory is asked for
    weights = [resident(pid) for pid in agents(lab)]
    worst = max(weights)
    more = {"median": round(statistics.median(weights), 1), "without_services": round(empty, 1), "peer": PEER}
    memory = figure(
        BENCH, f"resident memory of an agent at {count} Services", worst, "MiB", "<= 100", worst <= 100, **more
    )

    # Deleted under an agent that knows all that is wanted: nothing but placing is measured.
    times = []
    node = lab.nodes[1]
    for _ in range(3):
        lab.spaces.run(node, "ip", "link", "del", DUMMY)
        begin = time.monotonic()
        eventually("the VIPs don't come back", lambda: placed(lab, node) >= count, 60)
        times.append(time.monotonic() - begin)
        time.sleep(3)
    took = max(times)
    what = f"{count} VIPs placed on {DUMMY} again after it was deleted"
    speed = figure(
        BENCH, what, took, "s", "<= 2", took <= 2, median=round(statistics.median(times), 2), resolution_s=0.1
    )
    return bool(memory and speed)


def placed(lab: Cluster, node: str) -> int:
    """How many routed VIPs a node has."""
    return sum(address.startswith("10.189.") for address in lab.addresses(node, DUMMY))


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="minutes of rest to measure (default 2)")
    parser.add_argument("--quick", action="store_true", help="half a minute of rest, and 200 VIPs instead of 1,000")
    parser.add_argument("--only", choices=("idle", "thousand"))
    arguments = parser.parse_args()
    holds = []
    with cluster() as lab:
        if arguments.only in (None, "idle"):
            holds.append(idle(lab, 60.0 * (arguments.runs or (0.5 if arguments.quick else 2)), 100))
        if arguments.only in (None, "thousand"):
            holds.append(thousand(lab, 200 if arguments.quick else 1000))
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
