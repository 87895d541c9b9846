"""Routes by BGP: how soon a Service is routed, and what its clients notice of a node that dies or is drained.

A lab of three nodes with the article's BIRD on each and FRR on the router (BFD 3 x 100 ms, `maximum-paths 3`). Times
are taken from the router's kernel and from a client behind it. Prints JSON lines: one per run, then one per figure.
Needs root.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bench.cluster import Cluster, NotSettled, eventually, service
from bench.report import event, figure, milliseconds, of_runs
from bench.routewatch import ResilientGroup, RouteWatch
from lab.command.lifecycle import ECMP_MANIFEST, install, start_lab, stop_lab
from lab.settings import Settings
from lab.wire.router import run_vtysh
from lab.wire.topology import topology
from purelb.kube import Kube

BENCH: Final = "ecmp"
NODES: Final = topology(3).nodes
ADDRESSES: Final = {node.name: str(node.ips[0]) for node in NODES}
VIP: Final = "10.189.200.1"
FLOWS, INTERVAL = 40, 0.02
CONNECTIONS: Final = 240
RATE: Final = 200.0
HOLD: Final = 9
"""Seconds of BGP's hold time where BFD is off: thrice FRR's least sensible keepalive of 3 s; its default is 180."""
_GROUP: Final = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "routed", "namespace": "purelb"},
    "spec": {
        "local": {"v4pool": {"subnet": "10.189.0.0/16", "pool": "10.189.0.0-10.189.255.254", "aggregation": "/32"}}
    },
}
_SERVICES: Final = "/api/v1/namespaces/default/services"


@contextlib.contextmanager
def ecmp_cluster() -> Iterator[tuple[Cluster, RouteWatch]]:
    """A lab of its own with BIRD and FRR, ended afterwards, and the eyes on its router."""
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as name:
        folder = Path(name)
        start_lab(folder, Settings(name, len(NODES), ecmp=True), say=lambda _: None)
        try:
            install(folder, ECMP_MANIFEST, say=lambda _: None)
            lab = Cluster(folder, len(NODES))
            lab.apply([_GROUP])
            watch = RouteWatch(lab.spaces)
            try:
                yield lab, watch
            finally:
                watch.end()
        finally:
            stop_lab(folder)


# --- Services --------------------------------------------------------------------------------------------------------


def created(lab: Cluster, watch: RouteWatch, runs: int) -> bool:
    """From the request that creates a Service to its route over all nodes in the router's kernel."""

    async def measure() -> list[float]:
        found = []
        async with Kube(lab.folder / "kubeconfig") as kube:
            for run in range(runs):
                vip = f"10.189.100.{run + 1}"
                began = time.monotonic()
                await kube.create(_SERVICES, service(f"created-{run}", vip, "routed"))
                found.append(await asyncio.to_thread(watch.wait, [vip], len(NODES), 10.0) - began)
                event(BENCH, run=run, created_ms=milliseconds(found[-1]))
                await asyncio.sleep(0.2)
            for run in range(runs):
                await kube.delete(f"{_SERVICES}/created-{run}")
        return found

    seconds = asyncio.run(measure())
    watch.wait([f"10.189.100.{run + 1}" for run in range(runs)], 0, 20.0)
    what = "Service created -> route with 3 next hops in the router's kernel"
    return bool(of_runs(BENCH, what, seconds, "median <= 500", lambda median, _: median <= 500))


def many(lab: Cluster, watch: RouteWatch, count: int) -> bool:
    """So many Services at once."""
    vips = [f"10.189.{150 + number // 250}.{number % 250 + 1}" for number in range(count)]

    async def each(act: Callable[[Kube, int], Awaitable[object]]) -> None:
        gate = asyncio.Semaphore(16)

        async def one(number: int) -> None:
            async with gate:
                await act(kube, number)

        async with Kube(lab.folder / "kubeconfig") as kube, asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(one(number))

    def create(kube: Kube, number: int) -> Awaitable[object]:
        return kube.create(_SERVICES, service(f"many-{number}", vips[number], "routed"))

    def delete(kube: Kube, number: int) -> Awaitable[object]:
        return kube.delete(f"{_SERVICES}/many-{number}")

    began = time.monotonic()
    asyncio.run(each(create))
    asked = time.monotonic() - began
    took = watch.wait(vips, len(NODES), 120.0) - began
    event(BENCH, services=count, creating_s=round(asked, 2), routed_s=round(took, 2))
    gone = time.monotonic()
    asyncio.run(each(delete))
    withdrawn = watch.wait(vips, 0, 120.0) - gone
    what = f"{count} Services created at once: all routes with 3 next hops in the router's kernel"
    more = {
        "creating_s": round(asked, 2),
        "after_the_last_creation_s": round(took - asked, 2),
        "withdrawn_after_s": round(withdrawn, 2),
    }
    return bool(figure(BENCH, what, took, "s", "<= 10", took <= 10, **more))


# --- a node that dies ------------------------------------------------------------------------------------------------


class Answerers:
    """A server of flows on each node, and the Service whose VIP they answer for."""

    def __init__(self, lab: Cluster, watch: RouteWatch) -> None:
        self._lab = lab
        flows = service("flows", VIP, "routed")
        # A port that nobody asks: kube-proxy refuses what has no endpoints, and here the nodes answer themselves,
        # whether or not the address is on an interface.
        flows["spec"]["ports"] = [{"port": 7}]
        lab.apply([flows])
        watch.wait([VIP], len(NODES), 20.0)
        for node in NODES:
            lab.spaces.run(
                node.name, "ip", "route", "replace", "local", VIP, "dev", "lo", "table", "local", "metric", "9"
            )
        self._processes = [_start(lab, node.name, "serve", node.name, VIP) for node in NODES]

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()
        self._lab.kubectl("delete", "service", "flows")


def _start(lab: Cluster, host: str, *arguments: str) -> subprocess.Popen[str]:
    process = lab.spaces.start(host, sys.executable, "-m", "bench.flows", *arguments)
    assert process.stdout is not None
    if arguments[0] != "tcp":
        process.stdout.readline()
    return process


def cut(lab: Cluster, watch: RouteWatch, victim: str, wait: float) -> tuple[float, int]:
    """Longest silence of the flows that went over a node whose cable is cut, in seconds; and how many there were."""
    client = _start(lab, "client", "udp", VIP, str(FLOWS), str(INTERVAL))
    time.sleep(1.0)
    at = lab.fault(victim, "power")
    time.sleep(wait)
    client.terminate()
    flows: list[list[tuple[float, str]]] = json.loads(client.communicate(timeout=30)[0])
    silences = []
    for flow in flows:
        before = [node for when, node in flow if when < at]
        if before and before[-1] == victim:
            times = [when for when, _ in flow if when >= at - 2 * INTERVAL] or [at]
            silences.append(max((later - earlier for earlier, later in pairwise([*times, at + wait])), default=wait))
    lab.heal(victim)
    watch.wait([VIP], len(NODES), 60.0)
    time.sleep(1.0)
    if not silences:
        last = sorted({before[-1] for flow in flows if (before := [node for when, node in flow if when < at])})
        raise NotSettled(f"none of {FLOWS} flows went over {victim}; nodes that answered: {last}")
    return max(silences), len(silences)


def cable(lab: Cluster, watch: RouteWatch, runs: int) -> bool:
    """With BFD, and then without it."""
    found = []
    for run in range(runs):
        victim = NODES[run % len(NODES)].name
        silence, flows = cut(lab, watch, victim, 2.5)
        found.append(silence)
        event(BENCH, run=run, victim=victim, flows=flows, silence_ms=milliseconds(silence))
    _configure_router(lab, *(f"no neighbor {address} bfd" for address in ADDRESSES.values()), f"timers bgp 3 {HOLD}")
    run_vtysh(lab.folder, "clear bgp *")
    _settle_sessions(lab, watch)
    without = [cut(lab, watch, NODES[run].name, HOLD + 5.0)[0] for run in range(2)]
    event(BENCH, without_bfd_ms=[milliseconds(one) for one in without], hold_s=HOLD)
    _configure_router(lab, *(f"neighbor {address} bfd 3 100 100" for address in ADDRESSES.values()), "no timers bgp")
    run_vtysh(lab.folder, "clear bgp *")
    _settle_sessions(lab, watch)
    more = {"without_bfd_worst_ms": milliseconds(max(without)), "hold_time_s": HOLD, "resolution_ms": 1000 * INTERVAL}
    what = "cable cut, BFD 3 x 100 ms: longest silence of the flows that went over the node"
    return bool(of_runs(BENCH, what, found, "worst <= 600", lambda _, worst: worst <= 600, **more))


def _configure_router(lab: Cluster, *lines: str) -> None:
    run_vtysh(lab.folder, "configure terminal", "router bgp 64512", *lines)


def _settle_sessions(lab: Cluster, watch: RouteWatch) -> None:
    def is_up() -> bool:
        peers = json.loads(run_vtysh(lab.folder, "show bgp ipv4 unicast summary json")).get("peers", {})
        return len(peers) == len(NODES) and all(peer["state"] == "Established" for peer in peers.values())

    eventually("the router's sessions don't come back", is_up, 60.0)
    watch.wait([VIP], len(NODES), 30.0)
    time.sleep(1.0)


def survivors(lab: Cluster, watch: RouteWatch, *, resilient: bool) -> float:
    """The share of connections over the other nodes that a node's death breaks, in percent, over each node once."""
    broken = alive = 0
    group = ResilientGroup(lab.spaces, watch, VIP, list(ADDRESSES.values())) if resilient else None
    for victim in ADDRESSES:
        client = subprocess.Popen(
            _client_command(lab), pass_fds=(lab.spaces.fd("client"),), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        nodes = json.loads(client.stdout.readline())
        lab.fault(victim, "power")
        watch.wait([VIP], len(NODES) - 1, 10.0)
        time.sleep(0.5)
        client.stdin.write("try\n")
        client.stdin.flush()
        answers = json.loads(client.stdout.readline())
        client.kill()
        client.communicate()
        others = [answer for node, answer in zip(nodes, answers, strict=True) if node != victim]
        event(BENCH, resilient=resilient, victim=victim, to_others=len(others), broken=others.count(False))
        broken, alive = broken + others.count(False), alive + others.count(True)
        lab.heal(victim)
        watch.wait([VIP], len(NODES), 60.0)
        time.sleep(1.0)
    if group is not None:
        group.remove()
    share = 100 * broken / (broken + alive)
    switch = "on" if resilient else "off"
    what = f"connections to surviving nodes that a cable cut breaks, resilient next-hop groups {switch}"
    figure(BENCH, what, share, "%", "no more than a figure", None, broken=broken, of=broken + alive)
    return share


def _client_command(lab: Cluster) -> list[str]:
    enter = ["nsenter", f"--net=/proc/self/fd/{lab.spaces.fd('client')}", "--"]
    return [*enter, sys.executable, "-m", "bench.flows", "tcp", VIP, str(CONNECTIONS)]


# --- a node that is drained ------------------------------------------------------------------------------------------


def drained(lab: Cluster, watch: RouteWatch, runs: int, *, resilient: bool) -> bool:
    """Requests while nodes are drained and come back: the router moves flows, also those in the middle of a request."""
    failed: list[int] = []
    asked = 0
    group = ResilientGroup(lab.spaces, watch, VIP, list(ADDRESSES.values())) if resilient else None
    for run in range(runs):
        node = NODES[run % len(NODES)].name
        client = _start(lab, "client", "http", f"http://{VIP}/", str(RATE))
        time.sleep(1.0)
        lab.fault(node, "drain")
        watch.wait([VIP], len(NODES) - 1, 30.0)
        time.sleep(1.0)
        lab.heal(node)
        watch.wait([VIP], len(NODES), 30.0)
        time.sleep(1.0)
        client.terminate()
        seen: dict[str, Any] = json.loads(client.communicate(timeout=30)[0])
        failed.append(len(seen["failures"]))
        asked += seen["requests"]
        slowest = milliseconds(seen["slowest"])
        event(BENCH, run=run, node=node, resilient=resilient, requests=seen["requests"], failures=seen["failures"][:5],
              slowest_ms=slowest)  # fmt: skip
    if group is not None:
        group.remove()
    switch = "on" if resilient else "off"
    what = f"requests that fail while a node is drained and comes back, at {RATE:g}/s, resilient groups {switch}"
    holds = (
        sum(failed) == 0 if resilient else None
    )  # a router that hashes anew breaks what is under way, whoever leaves
    median = statistics.median(failed)
    must = "0" if resilient else "no more than a figure"
    return figure(BENCH, what, sum(failed), "requests", must, holds, runs=runs, of=asked, median=median) is not False


def run(arguments: argparse.Namespace) -> Iterator[bool]:
    """Each part's answer."""
    runs = arguments.runs or (3 if arguments.quick else 9)
    wanted: Sequence[str] = arguments.only or PARTS
    with ecmp_cluster() as (lab, watch):
        if "created" in wanted:
            yield created(lab, watch, 2 * runs)
        if {"cable", "survivors", "drained"} & set(wanted):
            answerers = Answerers(lab, watch)
            if "cable" in wanted:
                yield cable(lab, watch, runs)
            if "survivors" in wanted:
                survivors(lab, watch, resilient=False)
                yield survivors(lab, watch, resilient=True) == 0
            if "drained" in wanted:
                yield drained(lab, watch, max(1, runs // 3), resilient=False)
                yield drained(lab, watch, max(1, runs // 3), resilient=True)
            answerers.end()
        if "many" in wanted:
            yield many(lab, watch, 200 if arguments.quick else 1000)


PARTS: Final = ("created", "cable", "survivors", "drained", "many")


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="cable cuts (default 9); Services: twice that, drains: a third")
    parser.add_argument("--quick", action="store_true", help="3 runs, and 200 Services instead of 1,000")
    parser.add_argument("--only", choices=PARTS, action="append")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the lab is ended
    try:
        return 0 if all(list(run(parser.parse_args()))) else 1
    except (NotSettled, TimeoutError) as failure:
        print(f"bench.ecmp: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
