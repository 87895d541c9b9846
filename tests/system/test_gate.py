"""A node whose data path doesn't work has no VIP while another can have it: in a lab, with what is installed."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from purelb.membership import Standing, parse_membership
from tests.system.conftest import LabUnderTest, eventually
from tests.system.recording import recorded

pytestmark = pytest.mark.timeout(300)

NODES = ("master", "worker-188-11", "worker-188-12")
VIPS = tuple(f"10.31.188.{last}" for last in range(70, 76))
GROUP = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "default", "namespace": "purelb"},
    "spec": {"local": {"v4pool": {"subnet": "10.31.0.0/16", "pool": f"{VIPS[0]}-{VIPS[-1]}", "aggregation": "/32"}}},
}


def service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"web-{number}"},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "purelb.io/purelb",
            "ports": [{"port": 80}],
            "selector": {"app": "web"},
        },
    }


class Cluster:
    """A lab in which PureLB runs, with six VIPs."""

    def __init__(self, folder: Path) -> None:
        self.lab = LabUnderTest(folder)

    def vips_of(self, node: str) -> set[str]:
        """Those on its NIC."""
        (link,) = json.loads(self.lab.hosts.output(node, "ip", "-json", "addr", "show", "dev", "eth0"))
        return {one["local"] for one in link["addr_info"] if one["local"] in VIPS}

    def where(self) -> dict[str, set[str]]:
        return {node: self.vips_of(node) for node in NODES}

    def all_are_somewhere(self, *nodes: str) -> bool:
        """Each on one node alone, of these."""
        found = [vip for node in NODES for vip in self.vips_of(node)]
        return sorted(found) == sorted(VIPS) and all(node in nodes or not self.vips_of(node) for node in NODES)

    def standings(self) -> set[Standing]:
        """What is said of the nodes, in the object that tells who is there."""
        said = self.lab.hosts.get("memberships.purelb.io", "purelb", "-n", "purelb")
        return {node.standing for node in parse_membership(said).values()}

    def events(self, reason: str) -> list[str]:
        items = self.lab.hosts.get("events", "-A")["items"]
        return [one["message"] for one in items if one["reason"] == reason]

    @contextlib.contextmanager
    def pinged(self, vip: str) -> Iterator[Callable[[], int]]:
        """Ping a VIP every 5 ms from the client; gives how many replies were lost, once it's over."""
        counted: list[int] = []
        with recorded(self.lab.hosts, "client", "tests.system.pinger", vip, end=signal.SIGINT) as lines:
            yield lambda: counted[0]
        text = "\n".join(lines)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        assert found, text
        counted.append(int(found[1]) - int(found[2]))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        made = Cluster(Path(folder))
        made.lab.must("up", timeout=150)
        try:
            objects = [GROUP, *(service(number) for number in range(len(VIPS)))]
            made.lab.kubectl(
                "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
            )
            assert eventually(lambda: made.all_are_somewhere(*NODES), seconds=30), made.where()
            yield made
        finally:
            made.lab.down()


def busiest(cluster: Cluster) -> str:
    where = cluster.where()
    return max(NODES, key=lambda node: len(where[node]))


def test_a_frozen_kube_proxy_costs_its_node_the_vips_and_no_reply(cluster: Cluster) -> None:
    node = busiest(cluster)
    others = [other for other in NODES if other != node]
    vip = min(cluster.vips_of(node))
    with cluster.pinged(vip) as lost:
        cluster.lab.must("fault", node, "proxy-frozen")
        try:
            assert eventually(lambda: cluster.all_are_somewhere(*others), seconds=20), cluster.where()
            assert eventually(lambda: any("kube-proxy" in text for text in cluster.events("NotServing")))
        finally:
            cluster.lab.must("heal", node)
        assert eventually(lambda: bool(cluster.vips_of(node)), seconds=60), cluster.where()
    assert lost() == 0


def test_a_node_that_comes_back_before_its_kube_proxy_gets_no_vip_until_that_is_there(cluster: Cluster) -> None:
    node = busiest(cluster)
    others = [other for other in NODES if other != node]
    for fault in ("power", "proxy-dead", "agent-kill"):
        cluster.lab.must("fault", node, fault)
    try:
        assert eventually(lambda: all(cluster.vips_of(other) for other in others), seconds=20), cluster.where()
        cluster.lab.must("heal", node, "power")
        cluster.lab.must("heal", node, "agent-kill")
        # The agent that starts there takes what its predecessor left away, and hears its peers.
        assert eventually(lambda: cluster.all_are_somewhere(*others), seconds=40), cluster.where()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert not cluster.vips_of(node)
            time.sleep(0.2)
    finally:
        cluster.lab.must("heal", node)
    assert eventually(lambda: bool(cluster.vips_of(node)), seconds=60), cluster.where()
    assert eventually(lambda: cluster.all_are_somewhere(*NODES), seconds=20), cluster.where()


def test_where_no_kube_proxy_works_every_vip_stays(cluster: Cluster) -> None:
    before = cluster.where()
    for node in NODES:
        cluster.lab.must("fault", node, "proxy-frozen")
    try:
        assert eventually(lambda: cluster.standings() == {Standing.FAILING}, seconds=30), cluster.standings()
        time.sleep(2)
        assert cluster.all_are_somewhere(*NODES), cluster.where()
    finally:
        for node in NODES:
            cluster.lab.must("heal", node)
    assert eventually(lambda: cluster.all_are_somewhere(*NODES), seconds=60), cluster.where()
    assert sum(len(vips) for vips in before.values()) == len(VIPS)
