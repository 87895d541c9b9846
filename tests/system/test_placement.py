"""A lab whose allocator plans: VIPs are even, and so they are at once when a node dies, before anybody plans anew."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from purelb import names
from purelb.placement import parse_placement
from tests.system.agentlab import endpoint_slice, service
from tests.system.conftest import LabUnderTest, eventually

GROUP = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {local: {v4pool: {subnet: 10.31.0.0/16, pool: 10.31.188.64/26}}}
"""
TWO_SUBNETS = Path(__file__).parents[2] / "lab" / "topologies" / "purelb.yaml"
GROUPS = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: net250, namespace: purelb}
spec: {local: {v4pool: {subnet: 172.30.250.0/24, pool: 172.30.250.200-172.30.250.215}}}
---
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: net255, namespace: purelb}
spec: {local: {v4pool: {subnet: 172.30.255.0/24, pool: 172.30.255.200-172.30.255.215}}}
"""
DEAD = "tiny-cilium-worker-188-12.k8s.tcinternal"


def announcers(lab: LabUnderTest) -> Counter[str]:
    """How many Services each node announces, by their annotations."""
    items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
    said = (item["metadata"].get("annotations", {}).get(names.ANNOUNCING_IPV4, "") for item in items)
    return Counter(text.partition(",")[0] for text in said if text)


def leader(lab: LabUnderTest) -> str:
    """The node of the allocator that leads; empty while there is none."""
    lease = lab.hosts.get("lease", names.ALLOCATOR_COMPONENT, "-n", "purelb")
    pods = lab.hosts.get("pods", "-n", "purelb", "-l", "component=allocator")["items"]
    nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}
    return str(nodes.get(lease["spec"].get("holderIdentity"), ""))


@contextmanager
def status_page(lab: LabUnderTest) -> Iterator[Callable[[], dict[str, Any]]]:
    """What the allocator's status page tells, asked from the machine that the lab is on."""
    command = [sys.executable, "-m", "lab", "page", "--dir", str(lab.folder), "--port", "0"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as way:
        try:
            assert way.stdout is not None
            url = way.stdout.readline().partition(" ")[0]

            def ask() -> dict[str, Any]:
                with urllib.request.urlopen(f"{url}view.json", timeout=10) as answer:
                    told: dict[str, Any] = json.load(answer)
                return told

            yield ask
        finally:
            way.send_signal(signal.SIGINT)


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

    assert eventually(lambda: leader(lab) not in ("", DEAD), seconds=60)
    with status_page(lab) as ask:

        def losses() -> dict[str, int]:
            """How many addresses left that node, by what the page says of why."""
            return {move["cause"]: move["moved"] for move in ask()["set"]["moves"] if move["node"] == DEAD}

        assert eventually(lambda: losses() == {"gone": 2}), ask()["set"]["moves"]
        (dead,) = [node for node in ask()["set"]["nodes"] if node["name"] == DEAD]
        assert (dead["standing"], dead["vips"]) == ("Absent", 0)

    def is_planned_without() -> bool:
        items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
        return not any(DEAD in item["metadata"].get("annotations", {}).get(names.PLACEMENT, "") for item in items)

    assert eventually(is_planned_without, seconds=60)
    lab.must("heal", DEAD)
    assert eventually(members, seconds=30)
    # What it wanted to write while its cable was out may come first; whoever has the VIPs writes over that.
    assert eventually(lambda: sorted(announcers(lab).values()) == [3, 3] and DEAD not in announcers(lab))
    assert is_planned_without()


@pytest.mark.timeout(240)
def test_in_two_subnets_vips_are_even_in_each_and_with_policy_local_where_the_endpoints_are(
    new_lab: Callable[[str], LabUnderTest],
) -> None:
    lab = new_lab("two")
    lab.must("up", "--topology", str(TWO_SUBNETS), "--placement", "even", timeout=120)

    def serving(text: str) -> Callable[[], bool]:
        def look() -> bool:
            shown = json.loads(lab.kubectl("get", "memberships", "-n", "purelb", "-o", "json"))["items"]
            return bool(shown) and shown[0].get("status", {}).get("serving") == text

        return look

    def of_group(group: str, policy: str = "Cluster") -> Counter[str]:
        """How many Services of a group each node announces."""
        items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
        ours = [
            item["metadata"]["annotations"]
            for item in items
            if item["metadata"].get("annotations", {}).get(names.SERVICE_GROUP) == group
            and item["spec"].get("externalTrafficPolicy") == policy
        ]
        return Counter(one[names.ANNOUNCING_IPV4].partition(",")[0] for one in ours if names.ANNOUNCING_IPV4 in one)

    def create(name: str, group: str, policy: str = "Cluster") -> None:
        body = service(name, group, policy=policy)
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    assert eventually(serving("4/4"), seconds=60)
    lab.kubectl("apply", "-f", "-", stdin=GROUPS)
    for number in range(4):
        for group in ("net250", "net255"):
            create(f"{group}-{number}", group)

    assert eventually(lambda: of_group("net250") == {"purelb1": 2, "purelb2": 2}, seconds=40), of_group("net250")
    assert eventually(lambda: of_group("net255") == {"purelb3": 2, "purelb4": 2}, seconds=40), of_group("net255")

    for number in range(2):
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(endpoint_slice(f"local-{number}", "purelb3", "purelb4")))
        create(f"local-{number}", "net255", "Local")
    both = {"purelb3": 1, "purelb4": 1}
    assert eventually(lambda: of_group("net255", "Local") == both, seconds=40), of_group("net255", "Local")
    for number in range(2):
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(endpoint_slice(f"local-{number}", "purelb3")))
    assert eventually(lambda: of_group("net255", "Local") == {"purelb3": 2}, seconds=40), of_group("net255", "Local")

    lab.must("fault", "purelb4", "power")
    assert eventually(lambda: of_group("net255") == {"purelb3": 4}, seconds=40), of_group("net255")
    assert of_group("net250") == {"purelb1": 2, "purelb2": 2}


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("nft") is None, reason="nft cuts one node from the API server")
def test_on_a_node_that_does_not_hear_from_the_api_nothing_is_planned_until_it_does(
    new_lab: Callable[[str], LabUnderTest],
) -> None:
    lab = new_lab("behind")
    lab.must("up", "--placement", "even", timeout=120)

    def behind() -> list[str]:
        """The nodes that are said to be."""
        shown = json.loads(lab.kubectl("get", "memberships", "-n", "purelb", "-o", "json"))["items"]
        nodes = shown[0].get("status", {}).get("nodes", []) if shown else []
        return [node["name"] for node in nodes if node.get("behind")] if len(nodes) == 3 else ["?"]

    def planned() -> Counter[str]:
        """How many addresses name each node, as their owner or stand-in."""
        items = json.loads(lab.kubectl("get", "services", "-n", "default", "-o", "json"))["items"]
        plans = (parse_placement(item["metadata"].get("annotations", {}).get(names.PLACEMENT, "")) for item in items)
        return Counter(node for plan in plans for nodes in plan.values() for node in nodes)

    assert eventually(lambda: behind() == [], seconds=60)
    lab.kubectl("apply", "-f", "-", stdin=GROUP)
    cut = "add table ip cut; add chain ip cut out { type filter hook output priority 0; }; "
    cut += "add rule ip cut out tcp dport 6443 reject with tcp reset"
    assert lab.hosts.run(DEAD, ["nft", cut]).returncode == 0
    assert eventually(lambda: behind() == [DEAD], seconds=90), behind()

    for number in range(6):
        lab.kubectl("create", "service", "loadbalancer", f"s{number}", "--tcp=80:80")
    assert eventually(lambda: sorted(announcers(lab).values()) == [3, 3], seconds=30), announcers(lab)
    assert sorted(planned().values()) == [6, 6]
    assert DEAD not in planned()

    assert lab.hosts.run(DEAD, ["nft", "delete table ip cut"]).returncode == 0
    assert eventually(lambda: behind() == [], seconds=60), behind()
    lab.kubectl("create", "service", "loadbalancer", "next", "--tcp=80:80")
    assert eventually(lambda: planned()[DEAD], seconds=30), planned()
