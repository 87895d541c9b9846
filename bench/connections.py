"""Connections through kube-proxy while their address moves by plan: how many are reset, with and without keeping flows.

A lab of four nodes with pods that echo. 500 connections say a byte each 20 ms, and 50 new ones come per second; a
cordon, its end, and a rolling restart of all agents, with `PURELB_KEEP_FLOWS` and without it; and once 100,000 flows
more, made in the owner's conntrack, and a connection that says as much as it can. Prints JSON lines. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from bench.allocator import memory_of
from bench.cluster import Cluster, cluster, eventually, service, vips_of
from bench.conversations import talkers
from bench.report import event, figure
from bench.throughput import rate, sink

BENCH: Final = "connections"
REST, RESTART = "at rest", "rolling restart of all agents"
"""What resets nothing, whether flows are kept or not."""
INTERVAL: Final = 0.02
NEW_PER_SECOND: Final = 50
MANY: Final = 100_000
SETTLE, MEASURE = 1.0, 3.0
"""Seconds."""


class Talk:
    """Connections to a VIP; ``seen`` afterwards is what their client saw."""

    def __init__(self, lab: Cluster, vip: str, count: int) -> None:
        self.seen: dict[str, Any] = {}
        command = (sys.executable, "-m", "bench.conversations", vip, "80", str(count))
        self._client = lab.spaces.start("client", *command, str(INTERVAL), str(NEW_PER_SECOND))
        assert self._client.stdout is not None
        if self._client.stdout.readline() != "ready\n":
            raise RuntimeError(f"no {count} connections to {vip}")

    def end(self) -> None:
        self._client.send_signal(signal.SIGTERM)
        self.seen = json.loads(self._client.communicate(timeout=60)[0])


@contextlib.contextmanager
def talking(lab: Cluster, vip: str, count: int) -> Iterator[Talk]:
    """From half a second before to three seconds after."""
    talk = Talk(lab, vip, count)
    try:
        time.sleep(0.5)
        yield talk
        time.sleep(3.0)
    finally:
        talk.end()


def metric(lab: Cluster, node: str, name: str) -> float:
    """What a node's agent says."""
    address = lab.get("node", node)["status"]["addresses"][0]["address"]
    page = lab.spaces.run("client", "curl", "-s", f"http://{address}:7472/metrics")
    found = re.search(rf"^{name} ([\d.e+]+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def moves(lab: Cluster, vip: str, count: int, *, keeps: bool) -> bool:
    """Each planned move of the one VIP."""
    owner, second = lab.nodes[1], lab.nodes[2]

    def cordon() -> None:
        lab.kubectl("cordon", owner)
        eventually("it doesn't leave", lambda: lab.holders([vip])[vip] == [second])

    def uncordon() -> None:
        lab.kubectl("uncordon", owner)
        eventually("it doesn't come back", lambda: lab.holders([vip])[vip] == [owner])

    def restart() -> None:
        lab.restart_all()
        eventually("it isn't home again", lambda: lab.holders([vip])[vip] == [owner], 60)

    def rest() -> None:
        time.sleep(3.0)

    holds = True
    at_rest = 0.0
    changes: list[tuple[str, Callable[[], None]]] = [
        (REST, rest),
        ("cordon of the owner", cordon),
        ("its end (failback)", uncordon),
        (RESTART, restart),
    ]
    for what, change in changes:
        with talking(lab, vip, count) as talk:
            change()
        seen = talk.seen
        broken, slowest = len(seen["broken"]), 1000 * seen["slowest"]
        at_rest = at_rest or slowest
        must = "0" if keeps or what in (REST, RESTART) else ""
        more = {
            "of": count,
            "keeps_flows": keeps,
            "longest_silence_ms": round(1000 * seen["silence"], 1),
            "new": seen["opened"],
            "new_failed": len(seen["failed"]),
            "slowest_connect_ms": round(slowest, 1),
            "at_rest_ms": round(at_rest, 1),
        }
        answer = figure(BENCH, f"{what}: connections reset", broken, "", must, broken == 0 if must else None, **more)
        holds = holds and answer is not False
    return holds


def many(lab: Cluster, vip: str) -> bool:
    """A hundred thousand flows of the VIP: how long until the new owner passes them on, and what that takes."""
    owner, second = lab.nodes[1], lab.nodes[2]
    pod = lab.get("pods", "-n", "default", "-l", "app=talk")["items"][0]["status"]["podIP"]
    made = lab.spaces.start(owner, sys.executable, "-m", "bench.manyflows", vip, pod, str(MANY))
    if made.communicate()[0].strip() != str(MANY):
        raise RuntimeError("the flows could not be made")
    before = {node: resident(lab, node) for node in (owner, second)}
    with talking(lab, vip, 50) as talk:
        lab.kubectl("cordon", owner)
        begin = time.monotonic()
        eventually("it doesn't leave", lambda: lab.holders([vip])[vip] == [second])
        moved = time.monotonic() - begin
        eventually("they aren't passed on", lambda: metric(lab, second, "purelb_lbnodeagent_flows_passed_on") >= MANY)
        took = time.monotonic() - begin
    more = {node: resident(lab, node) - before[node] for node in (owner, second)}
    lab.kubectl("uncordon", owner)
    event(BENCH, flows=MANY, moved_s=round(moved, 2), all_told_s=round(took, 2), broken=len(talk.seen["broken"]))
    worst = max(more.values())
    silence = talk.seen["silence"]
    slow = figure(BENCH, f"{MANY} flows: longest silence of others", silence, "s", "<= 1", silence <= 1)
    return bool(figure(BENCH, f"{MANY} flows: memory of an agent", worst, "MiB", "<= 30", worst <= 30) and slow)


def throughput(lab: Cluster, vip: str) -> bool:
    """What one connection says before its address moves, and after that, when it is passed on."""
    owner, second = lab.nodes[1], lab.nodes[2]
    its = service("sink", vip)
    its["spec"] |= {"selector": {"app": "sink"}, "ports": [{"port": 80, "targetPort": 8080}]}
    lab.apply([sink(), its])
    lab.settle([vip])
    client = lab.spaces.start("client", sys.executable, "-m", "bench.throughput", vip, "80")
    assert client.stdout is not None
    client.stdout.readline()
    time.sleep(SETTLE + MEASURE)
    moving = time.monotonic()
    lab.kubectl("cordon", owner)
    eventually("it doesn't leave", lambda: lab.holders([vip])[vip] == [second])
    moved = time.monotonic()
    time.sleep(SETTLE + MEASURE)
    client.send_signal(signal.SIGTERM)
    taken = json.loads(client.communicate(timeout=60)[0] or "[]")
    lab.kubectl("uncordon", owner)
    lab.kubectl("delete", "service", "sink")
    unkept, kept = rate(taken, moving - MEASURE, moving), rate(taken, moved + SETTLE, moved + SETTLE + MEASURE)
    share = 100 * kept / max(unkept, 0.1)
    more = {"unkept_mib_s": round(unkept), "kept_mib_s": round(kept)}
    what = "throughput of a kept connection, of an unkept one's"
    return figure(BENCH, what, share, "%", ">= 80", share >= 80, **more) is not False


def keep(lab: Cluster, vip: str, *, is_on: bool) -> None:
    """Have agents that keep flows, or don't."""
    lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", f"PURELB_KEEP_FLOWS={str(is_on).lower()}")
    lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=180s")
    lab.settle([vip], 60)


def resident(lab: Cluster, node: str) -> float:
    """MiB of its agent."""
    pid = lab.agent(node)
    if pid is None:
        raise RuntimeError(f"no agent runs on {node}")
    return memory_of(pid)[0]


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 connections instead of 500, and no 100,000 flows")
    parser.add_argument("--many", action="store_true", help="only the 100,000 flows, and the throughput")
    arguments = parser.parse_args()
    count = 100 if arguments.quick else 500
    with cluster(nodes=4) as lab:
        vip, other = vips_of(lab.nodes[1], lab.nodes, 2, second=lab.nodes[2])
        its = service("talk", vip)
        its["spec"] |= {"selector": {"app": "talk"}, "ports": [{"port": 80, "targetPort": 8080}]}
        lab.apply([talkers(4), its])
        lab.settle([vip])
        # First with it: what is reset leaves entries in conntracks whose ends nobody saw, and ports come again.
        keep(lab, vip, is_on=True)
        if arguments.many:
            return 0 if all((many(lab, vip), throughput(lab, other))) else 1
        holds = moves(lab, vip, count, keeps=True)
        if not arguments.quick:
            holds = many(lab, vip) and holds
            holds = throughput(lab, other) and holds
        keep(lab, vip, is_on=False)
        return 0 if moves(lab, vip, count, keeps=False) and holds else 1


if __name__ == "__main__":
    sys.exit(main())
