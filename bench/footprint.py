"""What programs cost: memory with 100 and 1,000 Services, processor time of an agent at rest, 1,000 VIPs at once.

A lab of five nodes with the programs as they are deployed. Memory and processor time are the kernel's figures (/proc):
resident memory, the part of it that no other process shares, and clock ticks. Prints JSON lines. Needs root.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench.cluster import Cluster, cluster, eventually, service, vips_of
from bench.report import figure

BENCH: Final = "footprint"
DUMMY: Final = "kube-lb0"
CHUNK: Final = 250
"""Services in one call of kubectl."""
MOST: Final = {("agent", 100): 58, ("agent", 1000): 64}
"""MiB."""
QUIET: Final = 30.0
"""Seconds until events and annotations are written, and what was needed for that is given back."""


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, float]:
    """Resident and private memory of a process in MiB (proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"resident": sizes["Rss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def agents(lab: Cluster) -> list[int]:
    return [pid for node in lab.nodes if (pid := lab.agent(node)) is not None]


def create(lab: Cluster, names: Iterable[str], vips: Iterable[str | None], group: str) -> None:
    """Many Services, in chunks."""
    wanted = [service(name, vip, group) for name, vip in zip(names, vips, strict=True)]
    for at in range(0, len(wanted), CHUNK):
        lab.apply(wanted[at : at + CHUNK])


def at_rest(lab: Cluster, seconds: float, count: int) -> bool:
    """Processor time of the agents with so many Services in which nothing happens."""
    vips = [vip for node in lab.nodes for vip in vips_of(node, lab.nodes, count // len(lab.nodes))]
    create(lab, [f"idle-{number}" for number in range(len(vips))], vips, "wire")
    lab.settle(vips)
    time.sleep(QUIET)
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


def at_size(lab: Cluster, count: int) -> bool:
    """Memory of the programs with so many Services, half of them on NICs."""
    pids = {"agent": agents(lab), "allocator": list(lab.allocators().values())}
    empty = {program: max(memory(pid)["resident"] for pid in pids[program]) for program in pids}
    on_nics = [vip for node in lab.nodes for vip in vips_of(node, lab.nodes, count // 2 // len(lab.nodes))]
    routed = count - len(on_nics)
    create(lab, [f"wire-{number}" for number in range(len(on_nics))], on_nics, "wire")
    create(lab, [f"routed-{number}" for number in range(routed)], [None] * routed, "routed")
    eventually("not all VIPs are placed", lambda: all(placed(lab, node) >= routed for node in lab.nodes), 180)
    lab.settle(on_nics, 120)
    time.sleep(QUIET)
    weights = {program: [memory(pid) for pid in pids[program]] for program in pids}
    lab.delete_services()
    holds = [weight(program, count, weights[program], empty[program]) for program in pids]
    return all(holds)


def weight(program: str, count: int, weights: Sequence[dict[str, float]], empty: float) -> bool:
    """Report the memory of the heaviest."""
    worst, most = max(one["resident"] for one in weights), MOST.get((program, count))
    holds = figure(
        BENCH,
        f"resident memory of an {program} at {count} Services",
        round(worst, 1),
        "MiB",
        f"<= {most}" if most is not None else "-",
        worst <= most if most is not None else None,
        median=round(statistics.median(one["resident"] for one in weights), 1),
        private=round(max(one["private"] for one in weights), 1),
        before=round(empty, 1),
    )
    return holds is not False


def at_once(lab: Cluster, count: int) -> bool:
    """So many VIPs placed under an agent that knows all that is wanted: nothing but placing is measured."""
    eventually("old VIPs are still there", lambda: not any(placed(lab, node) for node in lab.nodes), 60)
    create(lab, [f"many-{number}" for number in range(count)], [None] * count, "routed")
    eventually("not all VIPs are placed", lambda: all(placed(lab, node) >= count for node in lab.nodes), 180)
    time.sleep(QUIET)
    times = []
    node = lab.nodes[1]
    for _ in range(3):
        lab.spaces.run(node, "ip", "link", "del", DUMMY)
        begin = time.monotonic()
        eventually("the VIPs don't come back", lambda: placed(lab, node) >= count, 60)
        times.append(time.monotonic() - begin)
        time.sleep(3)
    lab.delete_services()
    took = max(times)
    what = f"{count} VIPs placed on {DUMMY} again after it was deleted"
    median = round(statistics.median(times), 2)
    return bool(figure(BENCH, what, took, "s", "<= 2", took <= 2, median=median, resolution_s=0.1))


def placed(lab: Cluster, node: str) -> int:
    """How many routed VIPs a node has."""
    return sum(address.startswith("10.189.") for address in lab.addresses(node, DUMMY))


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="minutes of rest to measure (default 1)")
    parser.add_argument("--quick", action="store_true", help="half a minute of rest, and 200 Services instead of 1,000")
    parser.add_argument("--only", choices=("rest", "size", "speed"))
    arguments = parser.parse_args()
    holds = []
    with cluster() as lab:
        if arguments.only in (None, "rest"):
            holds.append(at_rest(lab, 60.0 * (arguments.runs or (0.5 if arguments.quick else 1)), 100))
        if arguments.only in (None, "size"):
            holds += [at_size(lab, count) for count in ((200,) if arguments.quick else (100, 1000))]
        if arguments.only in (None, "speed"):
            holds.append(at_once(lab, 200 if arguments.quick else 1000))
    return 0 if all(holds) else 1


if __name__ == "__main__":
    sys.exit(main())
