"""Random faults of nodes, wire, API server and other controllers for some minutes; then everything has to be right.

A lab with the programs as they are deployed, 50 VIPs, and on every node addresses of an operator's. A client pings
every VIP, and every node's kernel is followed. At the end each VIP must be on exactly one node and answer, none of the
rules of what no agent does may have been broken at any time (constitution.py), nothing may have come of incidents that
break no node (consequences.py), and no log may hold an exception. For each incident it's told for how long two nodes
had a VIP, and how much of that came after it was over. Prints JSON lines. Seeded: a seed gives the same incidents.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Final

from bench.cluster import LINK, POOL4, POOL6, Cluster, NotSettled, cluster, eventually, service
from bench.consequences import Aftermath, Consequence, consequences, wrong_annotations
from bench.constitution import Law, Placed, Seen, breaches
from bench.incidents import STRANGERS, Incident, cause_of, plan_incidents
from bench.mischief import act
from bench.report import event, figure, milliseconds
from bench.wire import AddressWatch, Change, Doubled, Holdings, Pinger, doubled, holdings
from lab.wire.topology import topology
from purelb.election import owner
from purelb.names import REASON_ADDRESS_CONFLICT, REASON_ANNOUNCEMENT_FAILED
from purelb.pace import Pace

BENCH: Final = "chaos"
INTERVAL: Final = 0.1
"""Seconds between two pings of a VIP."""
CALM: Final = 60.0
"""Seconds for which the cluster may take to come to rest after the last incident."""
BELIEVED: Final = 12.0
"""Seconds for which a client may still send to a stranger who is gone: it asks him thrice (RFC 4861 section 10)."""
WRITTEN: Final = 30.0
"""Seconds within which what couldn't be written while the API server refused is written."""
HEARING: Final = 1.2 * Pace().watch + Pace().request
"""Seconds after which a program has noticed that nothing comes by a watch, and hears again what is new."""
SERVED: Final = 15.0
"""Seconds within which a Service that is made when all is over is served."""
NEWCOMER: Final = "newcomer"
DUMMY: Final = "kube-lb0"
WORST: Final = 10
"""How many of the longest are told one by one."""
SILENT: Final = 0.7
"""Seconds without a reply that are worth telling."""
BEFORE: Final = 8.0
"""Seconds before: incidents that ended within them are told as well."""


@dataclass(slots=True)
class Outcome:
    """What a run of chaos came to."""

    incidents: int
    failed: list[str]
    """Incidents that weren't carried out as they should."""
    misplaced: dict[str, list[str]]
    """VIPs that aren't on exactly one node, with where they are."""
    silent: list[str]
    """VIPs that lost replies when all was over."""
    breaches: dict[Law, list[str]]
    """What no agent does, by the rule's name: all that was seen of it, from the begin on."""
    exceptions: list[str]
    rest_after: float
    """Seconds from the end of the last incident until every VIP was on its owner alone."""
    consequences: dict[Consequence, list[str]] = field(default_factory=dict)
    """What came of incidents that break no node."""
    two_owners: list[tuple[Incident, float, float]] = field(default_factory=list)
    """Per incident: the longest time with two owners of one VIP, and the longest of it after the incident, seconds."""
    longest_silence: dict[str, float] = field(default_factory=dict)
    """By kind of incident, seconds."""
    worst: list[dict[str, object]] = field(default_factory=list)
    """The longest times with two owners and the longest silences: of which VIP, when, during which incidents."""

    @property
    def is_right(self) -> bool:
        wrongs = (self.failed, self.misplaced, self.silent, self.exceptions)
        return not any((*wrongs, *self.breaches.values(), *self.consequences.values()))


def undergo(lab: Cluster, count: int, seconds: float, seed: int) -> Outcome:
    """Chaos for that long on a lab at rest."""
    chance = random.Random(seed)
    vips = [str((POOL6 if number % 5 == 4 else POOL4) + 7 * number) for number in range(count)]
    foreign = add_foreign(lab)
    names = [f"vip-{number}" for number in range(count)]
    lab.place(names, vips)
    incidents = plan_incidents(lab.nodes, seconds, chance)

    before = {node: lab.addresses(node) for node in lab.nodes}
    watch = AddressWatch(lab.spaces, lab.nodes, lab.scratch)
    pinger = Pinger(lab.spaces, vips, INTERVAL)
    begin = time.monotonic()
    happened, failed = act(lab, dict(zip(names, vips, strict=True)), incidents, begin)
    over = time.monotonic()
    try:
        rest = eventually("", lambda: lab.is_settled(vips), CALM)
    except NotSettled:
        rest = CALM
    changes = watch.end()
    held = holdings(before, changes, begin, time.monotonic())
    seen = pinger.end()

    visited = max((one.end for one in happened if one.kind in STRANGERS), default=begin)
    time.sleep(max(0.0, visited + BELIEVED - time.monotonic()))
    last = Pinger(lab.spaces, vips, INTERVAL)
    time.sleep(2.0)
    afterwards = last.end()
    outcome = Outcome(
        incidents=len(incidents),
        failed=failed,
        misplaced={vip: nodes for vip, nodes in lab.holders(vips).items() if len(nodes) != 1},
        silent=[vip for vip, trace in afterwards.items() if trace.lost()],
        breaches=breaches(look(lab, vips, foreign, changes)),
        exceptions=lab.exceptions(),
        rest_after=time.monotonic() - over if rest >= CALM else rest,
    )
    outcome.consequences = look_back(lab, happened, held, changes, dict(zip(names, vips, strict=True)))
    doubles = [(vip, one) for vip in vips for one in doubled(held.holders(vip))]
    outcome.two_owners = two_owners(happened, [one for _, one in doubles])
    for vip, double in sorted(doubles, key=lambda pair: pair[1].begin - pair[1].end)[:WORST]:
        nodes = [node.split(".")[0] for node in sorted(double.nodes)]
        outcome.worst.append({"two_owners_of": vip, **told(double.begin, double.end, begin, happened), "nodes": nodes})
    gaps = [(vip, *span) for vip, trace in seen.items() for span in trace.silences(SILENT)]
    for vip, since, to in sorted(gaps, key=lambda gap: gap[1] - gap[2])[:WORST]:
        outcome.worst.append({"silence_of": vip, **told(since, to, begin, happened)})
    for one in happened:
        if one.node:
            silence = max(trace.silence(one.begin - 0.3, one.end + 5) for trace in seen.values())
            outcome.longest_silence[one.kind] = max(silence, outcome.longest_silence.get(one.kind, 0.0))
    return outcome


def told(since: float, to: float, begin: float, incidents: Sequence[Incident]) -> dict[str, object]:
    """When something was, in seconds from the run's begin, and the incidents shortly before and meanwhile."""
    causes = [
        f"{one.kind} {one.node.split('.')[0]} {one.begin - begin:.1f}-{one.end - begin:.1f}".replace("  ", " ")
        for one in incidents
        if one.begin <= to and one.end >= since - BEFORE
    ]
    return {"from_s": round(since - begin, 2), "seconds": round(to - since, 2), "incidents": causes}


# --- an operator's addresses -----------------------------------------------------------------------------------------


def add_foreign(lab: Cluster) -> set[tuple[str, str, str]]:
    """Addresses that aren't ours, on every node: as (node, link, address)."""
    added = set()
    for number, node in enumerate(lab.nodes):
        for link, address, prefix in (
            (LINK, f"10.31.201.{number + 1}", 16),
            (LINK, f"fd00:10:31::201:{number + 1}", 64),
            ("lo", f"192.0.2.{number + 1}", 32),
            (DUMMY, f"198.51.100.{number + 1}", 32),
        ):
            lab.spaces.run(node, "ip", "addr", "add", f"{address}/{prefix}", "dev", link)
            added.add((node, link, address))
        for info in lab.address_infos(node):
            if info["scope"] == "global" and info.get("valid_life_time") == 2**32 - 1:
                added.add((node, LINK, info["local"]))  # the node's own
    return added


def missing(lab: Cluster, foreign: set[tuple[str, str, str]]) -> list[str]:
    """Those that are no longer there."""
    there = {
        (node, link, address)
        for node in lab.nodes
        for link in (LINK, "lo", DUMMY)
        for address in lab.addresses(node, link)
    }
    return [" ".join(one) for one in sorted(foreign - there)]


def removed(changes: Sequence[Change], foreign: set[tuple[str, str, str]]) -> list[str]:
    """Those that were taken away in between."""
    gone = {(change.node, change.link, change.address) for change in changes if not change.is_there}
    return [" ".join(one) for one in gone & foreign]


# --- what no agent does ----------------------------------------------------------------------------------------------


def look(lab: Cluster, vips: Sequence[str], foreign: set[tuple[str, str, str]], changes: Sequence[Change]) -> Seen:
    """What came of it: all that was placed meanwhile, and what is known of the cluster."""
    hosts = {ip_address(address): node for node, link, address in foreign if link == LINK}
    hosts |= {
        one.ip: host.name for host in topology(len(lab.nodes)).hosts for nic in host.nics for one in nic.addresses
    }
    own = [ip_interface(f"{info['local']}/{info['prefixlen']}").network for info in lab.address_infos(lab.nodes[0])]
    return Seen(
        placed=placed(changes, foreign),
        hosts=hosts,
        given={ip_address(vip) for vip in vips},
        nics={node: [(LINK, network) for network in own] for node in lab.nodes},
        removed=sorted({*missing(lab, foreign), *removed(changes, foreign)}),
        unsaid=unsaid(lab, vips),
    )


def placed(changes: Sequence[Change], foreign: set[tuple[str, str, str]]) -> set[Placed]:
    """What came and is neither an operator's or a node's own, nor what the kernel itself gives every interface."""
    return {
        Placed(change.node, change.link, address, change.prefix_length)
        for change in changes
        if change.is_there and (change.node, change.link, change.address) not in foreign
        if not (address := ip_address(change.address)).is_link_local
    }


def unsaid(lab: Cluster, vips: Sequence[str]) -> list[str]:
    """The VIPs that are on no node, and of which no event says so."""
    nowhere = [vip for vip, nodes in lab.holders(vips).items() if not nodes]
    events = lab.get("events", "-n", "default")["items"] if nowhere else []
    said = [one["message"] for one in events if one["reason"] == REASON_ANNOUNCEMENT_FAILED]
    return [vip for vip in nowhere if not any(vip in text for text in said)]


def look_back(
    lab: Cluster, incidents: Sequence[Incident], held: Holdings, changes: Sequence[Change], vips: dict[str, str]
) -> dict[Consequence, list[str]]:
    """What came of it for Services: what was written of them, and whether a new one is served."""

    deaf = max((one.end for one in incidents if one.kind == "api-half-open"), default=0.0) + HEARING
    time.sleep(max(0.0, deaf - time.monotonic()))

    def seen(told: dict[str, list[str]], unserved: Sequence[str] = ()) -> Aftermath:
        items = lab.get("services", "-n", "default")["items"]
        notes = {one["metadata"]["name"]: one["metadata"].get("annotations", {}) for one in items}
        ours = {name: notes[name] for name in vips if name in notes}
        holders = lab.holders(vips.values())
        return Aftermath(incidents, held, changes, lab.nodes, vips, told, ours, holders, unserved)

    with contextlib.suppress(NotSettled):
        eventually("", lambda: not [*wrong_annotations(seen({}))], WRITTEN)
    told: dict[str, list[str]] = {name: [] for name in vips}
    for one in lab.get("events", "-n", "default")["items"]:
        if one["reason"] == REASON_ADDRESS_CONFLICT and one["involvedObject"]["name"] in told:
            told[one["involvedObject"]["name"]].append(one["message"])
    return consequences(seen(told, unserved(lab)))


def unserved(lab: Cluster) -> list[str]:
    """What is wrong with a Service that is made now; nothing if its VIP is soon on its owner."""
    lab.apply([service(NEWCOMER)])

    def given() -> list[str]:
        return [one["ip"] for one in lab.get("service", NEWCOMER)["status"]["loadBalancer"].get("ingress") or ()]

    def is_served() -> bool:
        return [lab.holders([vip])[vip] for vip in given()] == [[owner(lab.nodes, vip)] for vip in given()] != []

    try:
        eventually("", is_served, SERVED)
    except NotSettled:
        return [f"a new Service has {given() or 'no address'}, on {lab.holders(given())}"]
    return []


# --- incidents -------------------------------------------------------------------------------------------------------


def two_owners(incidents: Sequence[Incident], together: Sequence[Doubled]) -> list[tuple[Incident, float, float]]:
    """Per incident of a node: the longest span of two owners that it explains, and its longest part afterwards."""
    longest = {one: (0.0, 0.0) for one in incidents if one.node}
    for span in together:
        cause = cause_of(span.begin, span.nodes, incidents)
        if cause is not None:
            whole, after = longest[cause]
            longest[cause] = max(whole, span.end - span.begin), max(after, span.end - max(span.begin, cause.end))
    return [(one, *times) for one, times in longest.items()]


# --- the program -----------------------------------------------------------------------------------------------------


def tell(outcome: Outcome, seed: int, seconds: float, count: int) -> bool:
    """Print everything; whether all is as it must be."""
    for worst in outcome.worst:
        event(BENCH, **worst)
    kinds: dict[str, list[tuple[float, float]]] = {}
    for incident, whole, after in outcome.two_owners:
        kinds.setdefault(incident.kind, []).append((whole, after))
        node, took = incident.node.split(".")[0], round(incident.end - incident.begin, 2)
        owners = {"two_owners_s": round(whole, 2), "of_it_afterwards_s": round(after, 2)}
        event(BENCH, incident=incident.kind, node=node, took_s=took, **owners)
    for kind, times in sorted(kinds.items()):
        figure(
            BENCH,
            f"{kind}: longest time with two owners",
            max(whole for whole, _ in times),
            "s",
            "reported",
            None,
            incidents=len(times),
            median=round(sorted(whole for whole, _ in times)[len(times) // 2], 2),
            afterwards=round(max(after for _, after in times), 2),
            longest_silence_ms=milliseconds(outcome.longest_silence.get(kind, 0.0)),
        )
    about = {"seed": seed, "minutes": round(seconds / 60, 1), "vips": count, "incidents": outcome.incidents}
    checks = (
        ("incidents that failed", outcome.failed),
        ("VIPs not on exactly one node", outcome.misplaced),
        ("VIPs that don't answer", outcome.silent),
        *((f"broken: {law}", found) for law, found in outcome.breaches.items()),
        *((f"came of it: {what}", found) for what, found in outcome.consequences.items()),
        ("exceptions in logs", outcome.exceptions),
    )
    for what, found in checks:
        figure(BENCH, f"at the end: {what}", len(found), "", "0", not found, found=found, **about)
    figure(
        BENCH, "from the last incident until every VIP is on its owner alone", outcome.rest_after, "s", "reported", None
    )
    return outcome.is_right


def main() -> int:
    """Exit code 1 when something isn't right at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="default 10")
    parser.add_argument("--quick", action="store_true", help="one minute")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--vips", type=int, default=50)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="a folder to which the logs are copied")
    arguments = parser.parse_args()
    seconds = 60 * (arguments.minutes or (1.0 if arguments.quick else 10.0))
    with cluster(arguments.nodes) as lab:
        outcome = undergo(lab, arguments.vips, seconds, arguments.seed)
        if arguments.keep is not None:
            shutil.copytree(lab.folder / "logs", arguments.keep, dirs_exist_ok=True)
        return 0 if tell(outcome, arguments.seed, seconds, arguments.vips) else 1


if __name__ == "__main__":
    sys.exit(main())
