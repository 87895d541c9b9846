"""1,000 addresses that move at once: when they answer, when the API says so, and how the data plane fares meanwhile.

A lab of five nodes, in which one owns them all and loses its cable. Kernels and the API are polled; the lag of the
survivors' data planes is their own histogram, from before to after. All of the lab shares this machine's cores, so that
how long the API takes is mostly the API server's affair. Prints JSON lines. Needs root.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Callable
from typing import Final

from bench.cluster import Cluster, cluster, vips_of
from bench.footprint import create
from bench.report import figure
from lab.settings import CONTROL_PLANES

BENCH: Final = "moves"
ANNOTATION: Final = "purelb.io/announcing-IPv4"
LAG: Final = "purelb_lbnodeagent_dataplane_lag_seconds_bucket"
PEER: Final = "PureLB v0.17's agents may send 5 requests a second (client-go's default): 3,000 writes take 10 minutes"


def lags(lab: Cluster, node: str) -> dict[float, float]:
    """How often the data plane's loop was at most so late, in seconds."""
    address = lab.get("node", node)["status"]["addresses"][0]["address"]
    page = lab.spaces.run("client", "curl", "-s", f"http://{address}:7472/metrics")
    return {float(limit): float(count) for limit, count in re.findall(rf'{LAG}{{le="([^"]+)"}} ([\d.e+]+)', page)}


def lag_of(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Seconds that so large a share of the looks between two readings did not exceed: the limit of a bucket."""
    more = {limit: after[limit] - before[limit] for limit in after}
    return min(limit for limit, count in more.items() if count >= share * more[math.inf])


def shares(before: dict[float, float], after: dict[float, float]) -> dict[str, float]:
    """Share of the looks, in per cent, at which the loop was later than so many seconds."""
    more = {limit: after[limit] - before[limit] for limit in after}
    total = more[math.inf] or 1.0
    return {
        f"later_than_{limit:g}_s": round(100 * (1 - more[limit] / total), 2) for limit in (0.05, 0.1, 0.2, 0.5, 1.0)
    }


def writes(lab: Cluster, victim: str) -> tuple[int, int]:
    """Services that name another node than ``victim``, and those with an event that says so."""
    services = lab.get("services", "-n", "default")["items"]
    named = [found["metadata"].get("annotations", {}).get(ANNOTATION, victim) for found in services]
    selector = "reason=AnnounceSlotSteal"
    events = lab.get("events", "-n", "default", "--field-selector", selector)["items"]
    told = {event["involvedObject"]["name"] for event in events}
    return sum(not value.startswith(victim) for value in named if "," in value), len(told)


def until(true: Callable[[], bool], begin: float, seconds: float = 120.0) -> float | None:
    """Seconds from ``begin`` until it's true; None if it wasn't in time."""
    while not true():
        if time.monotonic() - begin > seconds:
            return None
        time.sleep(0.2)
    return time.monotonic() - begin


def measure(lab: Cluster, count: int) -> bool:
    """Cut the cable of the node that owns all."""
    victim = lab.nodes[1]
    vips = vips_of(victim, lab.nodes, count)
    create(lab, [f"move-{number}" for number in range(count)], vips, "wire")
    lab.settle(vips, 180)
    if until(lambda: all(f"{victim},eth0" == one for one in owners_named(lab)), time.monotonic()) is None:
        raise RuntimeError("the first owner isn't named everywhere")
    survivors = [node for node in lab.nodes if node != victim]
    before = {node: lags(lab, node) for node in survivors}
    begin = lab.fault(victim, "power")
    placed = until(lambda: all(any(n in survivors for n in nodes) for nodes in lab.holders(vips).values()), begin)
    named = until(lambda: writes(lab, victim)[0] == count, begin)
    told = until(lambda: writes(lab, victim)[1] == count, begin)
    after = {node: lags(lab, node) for node in survivors}
    late = max(lag_of(before[node], after[node], 0.99) for node in survivors)
    slowest = max(survivors, key=lambda node: shares(before[node], after[node])["later_than_0.05_s"])
    writes_made = 3 * count  # an annotation and two events for each
    what = f"{count} addresses of a dead node"
    rate = round(writes_made / told, 1) if told is not None else None
    figure(BENCH, f"{what} are on others", placed, "s", "", None, resolution_s=0.5)
    figure(BENCH, f"{what}: all annotations right", named, "s", "", None, peer=PEER)
    figure(BENCH, f"{what}: all events there", told, "s", "", None, writes_per_second=rate, peer=PEER)
    more = shares(before[slowest], after[slowest])
    holds = figure(BENCH, "99 % of the time the data plane was no later than", late, "s", "<= 0.2", late <= 0.2, **more)
    lab.heal(victim)
    return bool(holds) and named is not None and told is not None


def owners_named(lab: Cluster) -> list[str]:
    """What the Services say."""
    services = lab.get("services", "-n", "default")["items"]
    return [
        found["metadata"].get("annotations", {}).get(ANNOTATION, "")
        for found in services
        if found["spec"]["type"] == "LoadBalancer"
    ]


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 addresses instead of 1,000")
    parser.add_argument("--control-plane", choices=CONTROL_PLANES, default="embedded")
    arguments = parser.parse_args()
    with cluster(control_plane=arguments.control_plane) as lab:
        return 0 if measure(lab, 200 if arguments.quick else 1000) else 1


if __name__ == "__main__":
    sys.exit(main())
