"""The owner's cable is cut: for how long does nobody answer?

A lab of five nodes with the programs as they are deployed. A client pings the VIPs every 5 ms, and the longest time
without a reply is what counts. keepalived runs on the same nodes with VIPs of its own, which the same cut takes down.
Then with 200 VIPs on the node, and while all agents list 10,000 Services of which 50 a second change. Prints JSON
lines: one per run, then one per figure. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

from bench.busyapi import Churn, create_services
from bench.cluster import Cluster, cluster, eventually, vips_of
from bench.keepalived import INSTANCES, Keepalived, find_keepalived, version
from bench.report import event, milliseconds, of_runs
from bench.wire import Pinger, Trace

BENCH: Final = "failover"
INTERVAL: Final = 0.005
"""Seconds between two pings of a VIP."""
PEERS: Final = "memberlist's LAN defaults: 5.3-6.2 s to notice the death; PureLB v0.17's lease: 10 s"
KEEPALIVED_TAKES: Final = 3.6
"""Seconds within which its default notices a death."""


def cut_and_heal(
    lab: Cluster, victim: str, vips: Sequence[str], rivals: Sequence[str], interval: float, chance: random.Random
) -> tuple[dict[str, Trace], float, float]:
    """One death and return of ``victim``, seen by a client; with when the cable was cut, and when it was back."""
    time.sleep(chance.uniform(0.2, 1.3))  # at any phase of everybody's timers
    pinger = Pinger(lab.spaces, [*vips, *rivals], interval)
    time.sleep(0.5)
    cut = lab.fault(victim, "power")
    time.sleep(KEEPALIVED_TAKES + 0.4 if rivals else 2.2)
    back = time.monotonic()
    lab.heal(victim)
    eventually(lambda: f"not home again: {lab.misplaced(vips)}", lambda: not lab.misplaced(vips), 45)
    time.sleep(0.3)
    return pinger.end(), cut, back


def compared(lab: Cluster, runs: int, chance: random.Random) -> bool:
    """IPv4 and IPv6 beside keepalived: the same cut, the same wire, the same moment."""
    victim = lab.nodes[1]
    vips = {"IPv4": vips_of(victim, lab.nodes, 1)[0], "IPv6": vips_of(victim, lab.nodes, 1, ipv6=True)[0]}
    lab.place(["one", "six"], list(vips.values()))
    silences: dict[str, list[float]] = {title: [] for title in [*vips, *(one.title for one in INSTANCES)]}
    returns: list[float] = []
    program = find_keepalived()
    with Keepalived(program, lab, victim) if program else contextlib.nullcontext() as rival:
        rivals = {one.title: one.vip for one in INSTANCES} if rival else {}
        for run in range(runs):
            if rival:
                eventually("keepalived isn't home again", rival.is_home, 45)
            lab.settle(list(vips.values()))
            seen, cut, back = cut_and_heal(lab, victim, list(vips.values()), list(rivals.values()), INTERVAL, chance)
            now = {title: seen[vip].silence(cut - 0.2, back) for title, vip in {**vips, **rivals}.items()}
            for title, silence in now.items():
                silences[title].append(silence)
            lost = {title: seen[vip].lost(back) for title, vip in vips.items()}
            returns.append(sum(lost.values()))
            event(
                BENCH,
                run=run,
                silence_ms={title: milliseconds(silence) for title, silence in now.items()},
                lost_when_it_came_back=lost,
            )
    for one in INSTANCES:
        if silences[one.title]:
            of_runs(
                BENCH, f"cable cut: {one.title}", silences[one.title], "(peer)", None, program=version(program or "")
            )
    holds = [
        of_runs(
            BENCH,
            f"cable cut of the owner, 5 nodes, {title}: longest silence",
            silences[title],
            "median <= 700, worst <= 1000",
            lambda median, worst: median <= 700 and worst <= 1000,
            beside={one.title: milliseconds(sorted(silences[one.title])[runs // 2]) for one in INSTANCES if rivals},
            peer=PEERS,
            replies_lost_when_it_came_back=max(returns),
        )
        for title in vips
    ]
    lab.delete_services()
    return all(holds)


def many(lab: Cluster, runs: int, count: int, chance: random.Random) -> bool:
    """So many VIPs on the dying node: the last one counts."""
    victim = lab.nodes[2]
    vips = vips_of(victim, lab.nodes, count)
    lab.place([f"many-{number}" for number in range(count)], vips)
    slowest: list[float] = []
    for run in range(runs):
        lab.settle(vips)
        seen, cut, back = cut_and_heal(lab, victim, vips, [], 0.1, chance)
        silences = sorted(seen[vip].silence(cut - 0.3, back) for vip in vips)
        slowest.append(silences[-1])
        lost = sum(seen[vip].lost(back) for vip in vips)
        first, middle = milliseconds(silences[0]), milliseconds(silences[count // 2])
        event(
            BENCH, run=run, vips=count, first_ms=first, median_ms=middle, last_ms=milliseconds(silences[-1]), lost=lost
        )
    lab.delete_services()
    what = f"{count} VIPs on the dying node: until the last one answers"
    return bool(of_runs(BENCH, what, slowest, "worst <= 1500", lambda _, worst: worst <= 1500, resolution_ms=100))


def busy(lab: Cluster, runs: int, count: int, chance: random.Random) -> bool:
    """While every agent lists so many Services, and 50 a second change."""
    victim = lab.nodes[1]
    vip = vips_of(victim, lab.nodes, 1)[0]
    create_services(lab.folder, count)
    lab.place(["one"], [vip])
    silences: list[float] = []
    with Churn(lab.folder, count, rate=50.0) as churn:
        for run in range(runs):
            lab.settle([vip], 90)
            # Every watch ends, so every agent lists all Services, and compares them a second later once more.
            shaking = threading.Timer(chance.uniform(0.3, 1.0), lab.reset_api_connections)
            shaking.start()
            seen, cut, back = cut_and_heal(lab, victim, [vip], [], INTERVAL, chance)
            shaking.join()
            silences.append(seen[vip].silence(cut - 0.2, back))
            event(BENCH, run=run, services=count, silence_ms=milliseconds(silences[-1]), changes=churn.changes)
        rate = churn.rate()
    what = f"cable cut of the owner while {count} Services are listed and 50/s change: longest silence"
    return bool(
        of_runs(
            BENCH, what, silences, "worst <= 1300", lambda _, worst: worst <= 1300, changes_per_second=round(rate, 1)
        )
    )


def run(arguments: argparse.Namespace) -> Iterator[bool]:
    """Each part's answer."""
    chance = random.Random(arguments.seed)
    runs = arguments.runs or (2 if arguments.quick else 20)
    some = max(1, runs // 4)
    wanted = arguments.only

    if wanted in (None, "compared", "many"):
        with cluster() as lab:
            if wanted in (None, "compared"):
                yield compared(lab, runs, chance)
            if wanted in (None, "many"):
                yield many(lab, some, 200, chance)
    if wanted in (None, "busy"):
        with cluster() as lab:
            yield busy(lab, max(1, runs // 2), 1000 if arguments.quick else 10_000, chance)


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="deaths with one VIP (default 20); a quarter and a half of the others")
    parser.add_argument("--quick", action="store_true", help="2 runs, and 1,000 Services instead of 10,000")
    parser.add_argument("--only", choices=("compared", "many", "busy"))
    parser.add_argument("--seed", type=int, default=4)
    return 0 if all(list(run(parser.parse_args()))) else 1


if __name__ == "__main__":
    sys.exit(main())
