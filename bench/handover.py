"""An agent goes and comes back: how many replies are lost, and for how long do two nodes have a VIP?

A lab of five nodes with the programs as they are deployed, and a client that pings the VIPs every 5 ms. The owner's
agent goes for good, as its DaemonSet does not want the node any more, with keepalived stopped beside it on that node;
a rolling restart of all agents, which moves nothing; SIGKILL and a restart after three seconds; a death while the API
server is away. Prints JSON lines: one per run, then one per figure. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator
from typing import Final

from bench.cluster import Cluster, cluster, eventually, vips_of
from bench.keepalived import INSTANCES, Keepalived, find_keepalived
from bench.report import event, figure, milliseconds, of_runs
from bench.wire import AddressWatch, Pinger, doubled, holdings
from purelb.election import ranking

BENCH: Final = "handover"
INTERVAL: Final = 0.005
"""Seconds between two pings of a VIP."""
RESTART: Final = 3.0
"""Seconds after which a killed agent is started again, as a kubelet would after some crashes."""
WANTED: Final = "kubernetes.io/os"
"""The label without which the agents' DaemonSet doesn't want a node."""
PEER_STOP: Final = "PureLB v0.6: withdraws at once, and nobody has the address until the others notice"


def one_of_each(lab: Cluster, victim: str) -> dict[str, str]:
    """An IPv4 and an IPv6 VIP of that node."""
    return {"IPv4": vips_of(victim, lab.nodes, 1)[0], "IPv6": vips_of(victim, lab.nodes, 1, ipv6=True)[0]}


def stops(lab: Cluster, runs: int, chance: random.Random) -> bool:
    """SIGTERM of the owner's agent, and its return."""
    victim = lab.nodes[1]
    named = one_of_each(lab, victim)
    vips = list(named.values())
    lab.place(["one", "six"], vips)
    lost: list[int] = []
    rivals: dict[str, list[int]] = {one.title: [] for one in INSTANCES}
    program = find_keepalived()
    with Keepalived(program, lab, victim) if program else contextlib.nullcontext() as rival:
        for run in range(runs):
            lab.settle(vips)
            if rival:
                eventually("keepalived isn't home again", rival.is_home, 45)
            time.sleep(chance.uniform(0.2, 1.3))
            pinger = Pinger(lab.spaces, [*vips, *(one.vip for one in INSTANCES if rival)], INTERVAL)
            time.sleep(0.5)
            if rival:
                rival.stop(victim)
            lab.kubectl("label", "node", victim, f"{WANTED}-")
            eventually("the VIPs don't leave", lambda: is_alone_elsewhere(lab, victim, vips))
            time.sleep(0.5)
            back = time.monotonic()
            lab.kubectl("label", "node", victim, f"{WANTED}=linux")
            if rival:
                rival.start(victim)
            eventually(lambda: f"not home again: {lab.misplaced(vips)}", lambda: not lab.misplaced(vips), 45)
            time.sleep(0.5)
            seen = pinger.end()
            going = {title: seen[vip].lost(end=back) for title, vip in named.items()}
            coming = {title: seen[vip].lost(begin=back) for title, vip in named.items()}
            lost += [*going.values(), *coming.values()]
            beside = {one.title: seen[one.vip].lost(end=back) for one in INSTANCES if rival}
            for title, count in beside.items():
                rivals[title].append(count)
            event(BENCH, run=run, lost_when_it_goes=going, lost_when_it_comes_back=coming, keepalived=beside)
    lab.delete_services()
    worst = max(lost)
    return bool(
        figure(
            BENCH,
            "the owner's agent goes for good, and one is there again: lost replies",
            worst,
            "replies",
            "<= 1",
            worst <= 1,
            runs=runs,
            in_all=sum(lost),
            beside={title: {"worst": max(counts), "in_all": sum(counts)} for title, counts in rivals.items() if counts},
            peer=PEER_STOP,
        )
    )


def is_alone_elsewhere(lab: Cluster, victim: str, vips: list[str]) -> bool:
    """Whether one other node has each VIP."""
    return all(len(nodes) == 1 and victim not in nodes for nodes in lab.holders(vips).values())


def rolling(lab: Cluster, runs: int) -> bool:
    """``kubectl rollout restart`` with a VIP on every node."""
    vips = [vips_of(node, lab.nodes, 1)[0] for node in lab.nodes]
    lab.place([f"on-{number}" for number in range(len(vips))], vips)
    lost: list[int] = []
    took: list[float] = []
    moved = 0
    for run in range(runs):
        lab.settle(vips, 60)
        watch = AddressWatch(lab.spaces, lab.nodes, lab.scratch)
        pinger = Pinger(lab.spaces, vips, INTERVAL)
        begin = time.monotonic()
        lab.restart_all()
        took.append(time.monotonic() - begin)
        eventually(lambda: f"not home again: {lab.misplaced(vips)}", lambda: not lab.misplaced(vips), 45)
        time.sleep(0.3)
        seen = pinger.end()
        gone = [change for change in watch.end() if change.address in vips and not change.is_there]
        moved += len(gone)
        counts = [seen[vip].lost() for vip in vips]
        longest = max(seen[vip].silence() for vip in vips)
        lost += counts
        event(
            BENCH,
            run=run,
            rolling_restart_s=round(took[-1], 1),
            lost_per_vip=counts,
            silence_ms=milliseconds(longest),
            moved=len(gone),
        )
    lab.delete_services()
    worst = max(lost)
    what = "rolling restart of all agents, one VIP per node: lost replies of a VIP"
    more = {"runs": runs, "in_all": sum(lost), "seconds_per_restart": round(max(took), 1), "peer": PEER_STOP}
    answered = figure(BENCH, what, worst, "replies", "<= 1", worst <= 1, **more)
    stayed = figure(BENCH, "rolling restart of all agents: VIPs that moved", moved, "VIPs", "0", moved == 0, runs=runs)
    return bool(answered and stayed)


def kills(lab: Cluster, runs: int, chance: random.Random) -> bool:
    """SIGKILL: the dead agent's kernel goes on answering, until the restarted agent finds what it left.

    Each node in its turn: a kubelet lets an agent that keeps crashing wait longer and longer.
    """
    of_node = {node: one_of_each(lab, node) for node in lab.nodes}
    everything = [vip for named in of_node.values() for vip in named.values()]
    lab.place([f"kill-{number}" for number in range(len(everything))], everything)
    silences: list[float] = []
    settled: list[float] = []
    overlaps: list[float] = []
    for run in range(runs):
        lab.settle(everything)
        victim = lab.nodes[run % len(lab.nodes)]
        named = of_node[victim]
        vips = list(named.values())
        time.sleep(chance.uniform(0.2, 1.3))
        before = {node: lab.addresses(node) for node in lab.nodes}
        begin = time.monotonic()
        watch = AddressWatch(lab.spaces, lab.nodes, lab.scratch)
        pinger = Pinger(lab.spaces, vips, INTERVAL)
        time.sleep(0.5)
        killed = lab.fault(victim, "agent-kill")
        time.sleep(RESTART - (time.monotonic() - killed))
        back = time.monotonic()
        lab.heal(victim)
        eventually(lambda: f"not home again: {lab.misplaced(everything)}", lambda: not lab.misplaced(everything), 45)
        time.sleep(0.5)
        seen, end = pinger.end(), time.monotonic()
        held = holdings(before, watch.end(), begin, end)
        double = [one for vip in vips for one in doubled(held.holders(vip))]
        silences += [seen[vip].silence(killed - 0.2) for vip in vips]
        settled.append(max((one.end for one in double), default=back) - back)
        overlaps.append(sum(one.end - one.begin for one in double) / len(vips))
        event(
            BENCH,
            run=run,
            silence_ms={title: milliseconds(seen[vip].silence(killed - 0.2)) for title, vip in named.items()},
            lost={title: seen[vip].lost() for title, vip in named.items()},
            alone_after_restart_s=round(settled[-1], 2),
            two_owners_s=round(overlaps[-1], 2),
        )
    lab.delete_services()
    what = f"SIGKILL of the owner's agent, restarted after {RESTART:g} s: longest silence"
    answer = of_runs(BENCH, what, silences, "worst <= 1000", lambda _, worst: worst <= 1000)
    worst = max(settled)
    alone = figure(
        BENCH,
        "SIGKILL of the owner's agent: from its restart until one node alone has the VIP",
        worst,
        "s",
        "<= 5",
        worst <= 5,
        two_owners_s=round(max(overlaps), 2),
    )
    return bool(answer and alone)


def outage(lab: Cluster, seconds: float) -> bool:
    """The API server is away, and a node dies meanwhile."""
    victim = lab.nodes[1]
    vips = vips_of(victim, lab.nodes, 5)
    names = [f"away-{number}" for number in range(5)]
    lab.place(names, vips)
    eventually("the annotations don't come", lambda: not stale(lab, dict(zip(names, vips, strict=True)), [victim]), 10)
    pinger = Pinger(lab.spaces, vips, INTERVAL * 2)
    heirs = [node for node in lab.nodes if node != victim]
    with lab.api_away():
        time.sleep(seconds / 3)
        cut = lab.fault(victim, "power")
        time.sleep(seconds * 2 / 3)
        seen = pinger.end()
    back = time.monotonic()
    expected = dict(zip(names, vips, strict=True))
    eventually(lambda: f"still wrong: {stale(lab, expected, heirs)}", lambda: not stale(lab, expected, heirs), 60)
    took = time.monotonic() - back
    lab.settle(vips)
    lab.delete_services()
    silences = [trace.silence(cut - 0.2) for trace in seen.values()]
    before = max(trace.silence(end=cut - 0.2) for trace in seen.values())
    answer = of_runs(
        BENCH,
        f"API server away for {seconds:g} s, a node dies meanwhile: longest silence",
        silences,
        "worst <= 1000",
        lambda _, worst: worst <= 1000,
        silence_before_the_death_ms=milliseconds(before),
    )
    what = "the API server is back: until annotations and events are right"
    return bool(figure(BENCH, what, took, "s", "<= 5", took <= 5) and answer)


def stale(lab: Cluster, expected: dict[str, str], candidates: list[str]) -> list[str]:
    """What users read that isn't so: annotations that name another than the owner, owners without an event."""
    services = {one["metadata"]["name"]: one for one in lab.get("services", "-n", "default")["items"]}
    told = {
        (found["involvedObject"]["name"], found["message"])
        for found in lab.get("events", "-n", "default", "--field-selector", "reason=AnnouncingLocal")["items"]
    }
    wrong = []
    for name, vip in expected.items():
        heir = ranking(candidates, vip)[0]
        annotation = (services[name]["metadata"].get("annotations") or {}).get("purelb.io/announcing-IPv4")
        if annotation != f"{heir},eth0":
            wrong.append(f"{name} says {annotation}, not {heir}")
        if (name, f"Node {heir} announcing {vip} on interface eth0") not in told:
            wrong.append(f"{name} has no event of {heir}")
    return wrong


def run(arguments: argparse.Namespace) -> Iterator[bool]:
    """Each part's answer."""
    chance = random.Random(arguments.seed)
    runs = arguments.runs or (2 if arguments.quick else 20)
    with cluster() as lab:
        if arguments.only in (None, "stop"):
            yield stops(lab, runs, chance)
        if arguments.only in (None, "rolling"):
            yield rolling(lab, 1 if arguments.quick else runs)
        if arguments.only in (None, "kill"):
            yield kills(lab, runs, chance)
        if arguments.only in (None, "outage"):
            yield outage(lab, 15.0 if arguments.quick else 60.0)


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="of each part (default 20)")
    parser.add_argument("--quick", action="store_true", help="2 runs, one rolling restart, 15 s without the API server")
    parser.add_argument("--only", choices=("stop", "rolling", "kill", "outage"))
    parser.add_argument("--seed", type=int, default=4)
    return 0 if all(list(run(parser.parse_args()))) else 1


if __name__ == "__main__":
    sys.exit(main())
