"""A lab with BIRD on the nodes and FRR on the router, seen from the router."""

from __future__ import annotations

from contextlib import AbstractContextManager
from ipaddress import ip_network
from typing import Any

from lab.command import control
from lab.demo.routes import NodeAddresses, next_hops, sessions_lost, show_route, updates_received
from tests.system.agentlab import AgentLab
from tests.system.conftest import LabUnderTest, eventually
from tests.system.recording import recorded_command

CALM = ("--ecmp", "--bfd-interval", "1000")
"""How a lab is started where nothing is timed: a busy machine must not look like a dead node."""
BFD_SECONDS = 4
"""What such a lab's BIRD has to be told: by then the router has missed it."""

GROUPS = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: routed, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.189.0.0/24, pool: 10.189.0.0/24, aggregation: /32}
    v6pool: {subnet: "fd00:10:189::/112", pool: "fd00:10:189::/112", aggregation: /128}
---
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: narrow, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.189.1.0/24, pool: 10.189.1.0/24, aggregation: /25}
    v6pool: {subnet: "fd00:10:189::1:0/112", pool: "fd00:10:189::1:0/112", aggregation: /120}
---
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: whole, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.189.2.0/24, pool: 10.189.2.0/24, aggregation: default}
    v6pool: {subnet: "fd00:10:189::2:0/112", pool: "fd00:10:189::2:0/112", aggregation: default}
"""


class RouterLab(AgentLab):
    """What the router knows of the nodes."""

    def __init__(self, lab: LabUnderTest) -> None:
        super().__init__(lab)
        hosts = control.request(lab.folder, "status").values["hosts"]
        self.addresses_of_nodes = NodeAddresses.of(hosts)

    def hops(self, prefix: str) -> list[str]:
        """The nodes over which the router's kernel balances a prefix, sorted; none: it has no such route."""
        network = ip_network(prefix)
        return sorted(next_hops(self.hosts.vtysh(show_route(network)), network, self.addresses_of_nodes))

    def updates(self) -> dict[str, int]:
        """BGP UPDATE messages that came from each node."""
        return updates_received(self.hosts.vtysh("show bgp neighbors json"), self.addresses_of_nodes)

    def sessions_lost(self) -> dict[str, int]:
        """How often each node's session has ended."""
        return sessions_lost(self.hosts.vtysh("show bgp neighbors json"), self.addresses_of_nodes)

    def metrics(self, node: str) -> dict[str, float]:
        """The agent's metrics about routing software."""
        page = self.hosts.output(node, "curl", "-s", f"http://{self._ipv4(node)}:7472/metrics")
        lines = [line.split() for line in page.splitlines() if line.startswith("purelb_lbnodeagent_router_")]
        return {name.removeprefix("purelb_lbnodeagent_router_"): float(value) for name, value in lines}

    def _ipv4(self, node: str) -> str:
        known = self.addresses_of_nodes.by_address
        return next(address for address, name in known.items() if name == node and ":" not in address)

    def watching_routes(self) -> AbstractContextManager[list[str]]:
        """What the router's kernel says of its routes meanwhile; the list is filled afterwards."""
        return recorded_command(self.lab.hosts, "router", ["ip", "-o", "monitor", "route"])

    def delete_all_services(self) -> None:
        self.lab.kubectl("delete", "service", "--all", "--ignore-not-found")
        self.lab.kubectl("delete", "endpointslices", "--all", "--ignore-not-found")

    def no_bgp_routes(self) -> bool:
        return not self.hosts.output("router", "ip", "route", "show", "proto", "bgp").strip()

    def patch_bird(self, selector: dict[str, Any]) -> None:
        """On which nodes BIRD runs."""
        self.patch("daemonset", "bird", {"template": {"spec": {"nodeSelector": selector}}}, "purelb")

    def expect_slow_bfd(self) -> None:
        """What an operator sets whose router's BFD is slow."""
        self.lab.kubectl("set", "env", "daemonset/bird", "-n", "purelb", f"BFD_SECONDS={BFD_SECONDS}")
        self.roll_out_birds()

    def roll_out_birds(self) -> None:
        """Until every node's new BIRD runs."""
        self.lab.kubectl("rollout", "status", "daemonset/bird", "-n", "purelb", "--timeout=120s")

    def birds(self) -> int:
        return len(self.hosts.get("pods", "-n", "purelb", "-l", "app=bird")["items"])

    def settle_routes(self) -> None:
        """No Service, and with each node a session that has nothing to tell."""
        self.delete_all_services()
        self.settle()
        assert eventually(self.no_bgp_routes, seconds=20)
