"""A lab whose allocator plans: VIPs are even, and so they are at once when a node dies, before anybody plans anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from purelb import names
from purelb.placement import parse_placement
from tests.system.conftest import LabUnderTest, eventually

GROUP = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {local: {v4pool: {subnet: 10.31.0.0/16, pool: 10.31.188.64/26}}}
"""
DEAD = "tiny-cilium-worker-188-12.k8s.tcinternal"


def announcers(lab: LabUnderTest) -> Counter[str]:
    """How many Services each node announces, by their annotations."""
    items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
    said = (item["metadata"].get("annotations", {}).get(names.ANNOUNCING_IPV4, "") for item in items)
    return Counter(text.partition(",")[0] for text in said if text)


def test_vips_are_even_and_so_they_are_after_a_death_and_the_dead_node_gets_none_back_at_once(
    new_lab: Callable[[str], LabUnderTest],
) -> None:
    lab = new_lab("placed")
    lab.must("up", "--placement", "even", timeout=120)

    def members() -> bool:
        shown = json.loads(lab.kubectl("get", "memberships", "-n", "purelb", "-o", "json"))["items"]
        return bool(shown) and shown[0].get("status", {}).get("serving") == "3/3"

    assert eventually(members, seconds=30)
    lab.kubectl("apply", "-f", "-", stdin=GROUP)
    for number in range(6):
        lab.kubectl("create", "service", "loadbalancer", f"s{number}", "--tcp=80:80")

    assert eventually(lambda: sorted(announcers(lab).values()) == [2, 2, 2], seconds=30), announcers(lab)

    def stand_ins() -> Counter[str]:
        """Who is to take over from that node."""
        items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
        plans = (parse_placement(item["metadata"].get("annotations", {}).get(names.PLACEMENT, "")) for item in items)
        return Counter(nodes[1] for plan in plans for nodes in plan.values() if nodes[0] == DEAD)

    # Those of addresses that came one after the other are put right at the next step.
    assert eventually(lambda: sorted(stand_ins().values()) == [1, 1], seconds=30), stand_ins()

    lab.must("fault", DEAD, "power")
    assert eventually(lambda: sorted(announcers(lab).values()) == [3, 3], seconds=30), announcers(lab)
    assert DEAD not in announcers(lab)

    def is_planned_without() -> bool:
        items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
        return not any(DEAD in item["metadata"].get("annotations", {}).get(names.PLACEMENT, "") for item in items)

    assert eventually(is_planned_without, seconds=60)
    lab.must("heal", DEAD)
    assert eventually(members, seconds=30)
    # What it wanted to write while its cable was out may come first; whoever has the VIPs writes over that.
    assert eventually(lambda: sorted(announcers(lab).values()) == [3, 3] and DEAD not in announcers(lab))
    assert is_planned_without()
