"""Connections to a routed address while a plain router hashes anew: how many are reset, with and without keeping flows.

A lab of four nodes with BIRD on each, FRR on the router, and a pod on each node that echoes (policy Local: who serves a
connection shows which node it went to). 500 connections say a byte each 20 ms. A node is cordoned, as a drain begins;
it comes back; then its cable is cut. With `PURELB_KEEP_FLOWS`, and without it. Prints JSON lines. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bench.cluster import Cluster, NotSettled, eventually, service
from bench.named import named_servers
from bench.report import figure
from bench.routewatch import RouteWatch
from lab.command.lifecycle import ECMP_MANIFEST, install, start_lab, stop_lab
from lab.settings import Settings

BENCH: Final = "rehash"
VIP: Final = "10.189.200.1"
NODES: Final = 4
INTERVAL: Final = 0.02
_GROUP: Final = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "routed", "namespace": "purelb"},
    "spec": {
        "local": {"v4pool": {"subnet": "10.189.0.0/16", "pool": "10.189.0.0-10.189.255.254", "aggregation": "/32"}}
    },
}


@contextlib.contextmanager
def ecmp_cluster() -> Iterator[tuple[Cluster, RouteWatch]]:
    """A lab of its own with BIRD and FRR and a server on each node, ended afterwards, and the eyes on its router."""
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as name:
        folder = Path(name)
        start_lab(folder, Settings(name, NODES, ecmp=True), say=lambda _: None)
        try:
            install(folder, ECMP_MANIFEST, say=lambda _: None)
            lab = Cluster(folder, NODES)
            lab.apply([_GROUP])
            watch = RouteWatch(lab.spaces)
            try:
                its = service("named", VIP, "routed")
                its["spec"] |= {
                    "selector": {"app": "named"},
                    "ports": [{"port": 80, "targetPort": 8080}],
                    "externalTrafficPolicy": "Local",
                }
                lab.apply([named_servers(), its])
                watch.wait([VIP], NODES, 60.0)
                yield lab, watch
            finally:
                watch.end()
        finally:
            stop_lab(folder)


def servers(lab: Cluster) -> dict[str, str]:
    """The node of each pod that serves."""
    pods = lab.get("pods", "-n", "default", "-l", "app=named")["items"]
    return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}


def change(lab: Cluster, count: int, victim: str, act: Callable[[], None], *, lasts: float) -> dict[str, Any]:
    """What becomes of connections that were there before it: to other nodes, and to ``victim``."""
    nodes = servers(lab)
    client = lab.spaces.start("client", sys.executable, "-m", "bench.named", VIP, "80", str(count), str(INTERVAL))
    assert client.stdout is not None
    if client.stdout.readline() != "ready\n":
        raise NotSettled(f"no {count} connections to {VIP}")
    time.sleep(0.5)
    act()
    time.sleep(lasts)
    client.send_signal(signal.SIGTERM)
    seen: dict[str, dict[str, Any]] = json.loads(client.communicate(timeout=60)[0])
    others = [its for pod, its in seen.items() if nodes[pod] != victim]
    own = [its for pod, its in seen.items() if nodes[pod] == victim]
    return {
        "broken": sum(its["broken"] for its in others),
        "of": sum(its["count"] for its in others),
        "own_broken": sum(its["broken"] for its in own),
        "own_of": sum(its["count"] for its in own),
        "longest_silence_ms": round(1000 * max((its["silence"] for its in others), default=0.0), 1),
    }


def changes(lab: Cluster, watch: RouteWatch, count: int, *, keeps: bool) -> bool:
    """Each of them; whether all is as it must be."""
    victim = lab.nodes[2]

    def cordon() -> None:
        lab.kubectl("cordon", victim)
        watch.wait([VIP], NODES - 1, 30.0)

    def uncordon() -> None:
        lab.kubectl("uncordon", victim)
        watch.wait([VIP], NODES, 30.0)

    def cut() -> None:
        lab.fault(victim, "power")
        watch.wait([VIP], NODES - 1, 30.0)

    holds = True
    for what, act, is_planned in (("cordoned", cordon, True), ("back", uncordon, True), ("dead", cut, False)):
        seen = change(lab, count, victim, act, lasts=4.0)
        share = 100 * seen["broken"] / max(seen["of"], 1)
        is_well = seen["broken"] == 0 == seen["own_broken"] if is_planned else share <= 1
        must = ("0, and 0 of its own" if is_planned else "<= 1 %") if keeps else "no more than a figure"
        answer = figure(
            BENCH, f"one of {NODES} nodes {what}: connections to others reset", round(share, 2), "%", must,
            is_well if keeps else None, keeps_flows=keeps, **seen,
        )  # fmt: skip
        holds = holds and answer is not False
    lab.heal(victim)
    watch.wait([VIP], NODES, 60.0)
    return holds


def keep(lab: Cluster, watch: RouteWatch, *, is_on: bool) -> None:
    """Have agents that keep flows, or don't."""
    lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", f"PURELB_KEEP_FLOWS={str(is_on).lower()}")
    lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=180s")
    eventually("an agent isn't ready", lab.agents_ready, 60.0)
    watch.wait([VIP], NODES, 60.0)
    time.sleep(2.0)


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 connections instead of 500")
    arguments = parser.parse_args()
    count = 100 if arguments.quick else 500
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the lab is ended
    try:
        with ecmp_cluster() as (lab, watch):
            keep(lab, watch, is_on=True)
            holds = changes(lab, watch, count, keeps=True)
            keep(lab, watch, is_on=False)
            return 0 if changes(lab, watch, count, keeps=False) and holds else 1
    except (NotSettled, TimeoutError) as failure:
        print(f"bench.rehash: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
