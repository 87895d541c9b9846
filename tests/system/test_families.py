"""VIPs on subnets of one IP family, through the data path: client, neighbour discovery, node, kube-proxy, pod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine.processes import REPOSITORY
from tests.system.agentlab import service
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

WEB: Final[dict[str, Any]] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "echo", "ports": [{"containerPort": 8080}]}]},
        },
    },
}


class Cluster:
    """PureLB on the hosts of a topology file, with web servers behind Services."""

    def __init__(self, folder: Path, sample: str) -> None:
        self.lab = LabUnderTest(folder)
        self.lab.must("up", "--topology", str(REPOSITORY / "lab" / "topologies" / f"{sample}.yaml"))
        self.apply(WEB)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def serve(self, name: str, vip: str, subnet: str) -> None:
        """A Service with that address, of a group whose pool is that address alone."""
        pool = {"subnet": subnet, "pool": f"{vip}-{vip}", "aggregation": "default"}
        self.apply(
            {
                "apiVersion": "purelb.io/v1",
                "kind": "ServiceGroup",
                "metadata": {"name": name, "namespace": "purelb"},
                "spec": {"local": {f"v{ip_network(subnet).version}pool": pool}},
            },
            service(name, name, ip=vip, selector={"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]),
        )

    def holders(self, vip: str) -> list[tuple[str, str]]:
        """Node and link, wherever the address is."""
        hosts = json.loads(self.lab.must("status", "--json"))["hosts"]
        nodes = [host["name"] for host in hosts if host["role"] in ("control-plane", "worker")]
        return [
            (node, link)
            for node in nodes
            for link in ("eth0", "eth1")
            if vip in {str(one.ip) for one in self.lab.hosts.addresses(node, link)}
        ]

    def ask(self, vip: str, host: str = "client") -> str:
        """Which node's pod answers; "" without an answer."""
        url = f"http://[{vip}]/" if ":" in vip else f"http://{vip}/"
        done = self.lab.hosts.run(host, ["curl", "-sS", "--max-time", "1", url])
        return done.stdout.split()[0] if done.returncode == 0 else ""

    def mac(self, node: str, link: str) -> str:
        found: str = json.loads(self.lab.hosts.output(node, "ip", "-json", "link", "show", link))[0]["address"]
        return found

    def neighbour(self, vip: str) -> str:
        """The MAC that the client takes the address for."""
        entries = json.loads(self.lab.hosts.output("client", "ip", "-json", "neigh", "show", vip))
        return next((entry.get("lladdr", "") for entry in entries), "")


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, request.param)
    try:
        yield made
    finally:
        made.lab.down()


@pytest.mark.parametrize("cluster", ["families"], indirect=True)
def test_a_subnet_of_one_family_has_its_vip_where_its_nodes_are(cluster: Cluster) -> None:
    cluster.serve("six", "fd00:6::99", "fd00:6::/64")
    cluster.serve("four", "198.51.100.99", "198.51.100.0/24")

    assert eventually(lambda: cluster.ask("fd00:6::99"))
    assert cluster.holders("fd00:6::99") == [("six", "eth0")]
    assert cluster.neighbour("fd00:6::99") == cluster.mac("six", "eth0"), "by neighbour discovery, the owner's"
    # The router is on each subnet, the client on one without IPv4.
    assert eventually(lambda: cluster.ask("198.51.100.99", host="router"))
    assert cluster.holders("198.51.100.99") == [("four", "eth0")]

    slices = {one["addressType"]: one for one in cluster.lab.hosts.get("endpointslices")["items"]}
    where = {family: {one["nodeName"] for one in slices[family]["endpoints"]} for family in slices}
    assert "four" not in where["IPv6"]
    assert "six" not in where["IPv4"]


@pytest.mark.parametrize("cluster", ["ipv6-only"], indirect=True)
def test_without_any_ipv4_a_vip_is_served_and_fails_over(cluster: Cluster) -> None:
    cluster.serve("web", "2001:db8:1::99", "2001:db8:1::/64")
    assert eventually(lambda: cluster.ask("2001:db8:1::99"))
    ((owner, link),) = cluster.holders("2001:db8:1::99")
    assert (owner, link) in {("one", "eth0"), ("two", "eth0")}, "three's NIC there isn't the default interface"
    first = cluster.mac(owner, link)
    assert cluster.neighbour("2001:db8:1::99") == first

    cluster.lab.must("fault", owner, "power")

    assert eventually(lambda: cluster.neighbour("2001:db8:1::99") not in ("", first))
    assert eventually(lambda: cluster.ask("2001:db8:1::99"))
