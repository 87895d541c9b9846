"""Connections through kube-proxy when their address moves by plan, or a router hashes anew: none breaks."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from bench.conversations import talkers
from tests.system.agentlab import MASTER, NODES, SHORT, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(180)

VIPS = {"four": "10.31.188.64", "six": "fd00:10:31::1:67"}
"""Each worker-188-11's, then worker-188-12's, by the election's rule."""
ROUTED = {"routed-four": "10.189.0.9", "routed-six": "fd00:10:189::9"}
TABLE = "purelb-flows"


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes(environment={"PURELB_KEEP_FLOWS": "true", "PURELB_RETURN_WITHIN": "0"}) as lab:
        ports = [{"name": name, "protocol": name.upper(), "port": 80, "targetPort": 8080} for name in ("tcp", "udp")]
        services = (service(name, "wire", ip=vip, selector={"app": "talk"}, ports=ports) for name, vip in VIPS.items())
        # Policy Local: who serves a connection is the node that it went to, and none goes with another one's pod.
        routed = (
            service(name, "routed", ip=vip, policy="Local", selector={"app": "each"}, ports=ports)
            for name, vip in ROUTED.items()
        )
        lab.apply(talkers(3), one_on_each_node(), *services, *routed)
        lab.settle()
        page = lab.hosts.output("client", "curl", "-s", "http://10.31.188.11:7472/metrics")
        if "purelb_lbnodeagent_flows_supported 0.0" in page:
            pytest.skip("this kernel's nftables can't pass packets on")
        assert eventually(lambda: are_on(lab, WORKER11), seconds=20)
        yield lab


def one_on_each_node() -> dict[str, Any]:
    """The same pods, ``app: each``."""
    its = talkers(1)
    its |= {"kind": "DaemonSet", "metadata": {"name": "each", "namespace": "default"}}
    del its["spec"]["replicas"]
    its["spec"] |= {"selector": {"matchLabels": {"app": "each"}}}
    its["spec"]["template"]["metadata"] = {"labels": {"app": "each"}}
    its["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    return its


def are_on(lab: AgentLab, node: str) -> bool:
    return all(lab.holders(vip) == [node] for vip in VIPS.values())


def has_table(lab: AgentLab, *, is_there: bool) -> bool:
    return (TABLE in lab.hosts.output(WORKER11, "nft", "list", "tables")) == is_there


@contextmanager
def conversing(lab: AgentLab, vips: Mapping[str, str], *arguments: str) -> Iterator[list[dict[str, Any]]]:
    """Connections to each address, and flows of datagrams; what their client saw is in the list afterwards."""
    clients = [lab.hosts.spawn("client", "bench.conversations", vip, "80", *arguments) for vip in vips.values()]
    seen: list[dict[str, Any]] = []
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
        yield seen
        time.sleep(1.5)  # what is to be reset is reset by now
    finally:
        for client in clients:
            client.send_signal(signal.SIGTERM)
        seen += [json.loads(client.communicate()[0]) for client in clients]


def test_connections_outlive_a_cordon_its_end_and_the_end_and_start_of_an_agent(agents: AgentLab) -> None:
    moves: list[tuple[str, Callable[[], str], bool]] = [
        (WORKER12, lambda: cordoned_and_upgraded(agents), True),
        (WORKER11, lambda: agents.lab.kubectl("uncordon", WORKER11), True),
        (WORKER12, lambda: agents.lab.must("fault", SHORT[WORKER11], "agent-stop"), False),
        (WORKER11, lambda: agents.lab.must("heal", SHORT[WORKER11]), True),
    ]
    for to, move, has_agent in moves:
        with conversing(agents, VIPS, "8", "0.02", "10", "4") as seen:
            move()
            assert eventually(partial(are_on, agents, to), seconds=20)
            # An agent that ends leaves no rules, though its kernel goes on serving what is passed on to it.
            assert eventually(partial(has_table, agents, is_there=has_agent), seconds=30), to
        assert [client["broken"] for client in seen] == [[], []], to
        assert [client["failed"] for client in seen] == [[], []]
        assert [first == last for client in seen for first, last in client["answerers"]] == [True] * 8, to
    assert eventually(lambda: all(agents.events(name, "ConnectionsKept") for name in VIPS), seconds=20)


def cordoned_and_upgraded(lab: AgentLab) -> str:
    """All agents are replaced while one passes on what another node serves."""
    lab.lab.kubectl("cordon", WORKER11)
    assert eventually(partial(are_on, lab, WORKER12), seconds=20)
    lab.lab.kubectl("rollout", "restart", "daemonset/lbnodeagent", "-n", "purelb")
    return lab.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=60s")


def route_over(lab: AgentLab, *nodes: str) -> None:
    """The client is the router itself, which hashes plainly by ports too, and anew whenever that is called."""
    for family, version, vip in (("-4", 4, ROUTED["routed-four"]), ("-6", 6, ROUTED["routed-six"])):
        hops = [
            word
            for node in nodes
            for own in lab.hosts.addresses(node, "eth0")
            if own.version == version and not own.ip.is_link_local and str(own.ip) not in VIPS.values()
            for word in ("nexthop", "via", str(own.ip), "dev", "eth0")
        ]
        lab.hosts.output("client", "ip", family, "route", "replace", vip, *hops)


def metrics(lab: AgentLab, node: str) -> str:
    """What a node's agent says; nothing while none runs."""
    address = lab.hosts.get("node", node)["status"]["addresses"][0]["address"]
    return lab.hosts.run(node, ["curl", "-s", f"http://{address}:7472/metrics"]).stdout


def astray(lab: AgentLab, node: str) -> float:
    """How many connections came to a node that doesn't serve them, and were located."""
    lines = metrics(lab, node).splitlines()
    return float(next(line for line in lines if 'flows_astray{what="located"}' in line).split()[1])


def test_connections_outlive_a_router_that_hashes_anew_as_nodes_come_go_and_die(agents: AgentLab) -> None:
    for version in ("ipv4", "ipv6"):
        agents.hosts.output("client", "sysctl", "-qw", f"net.{version}.fib_multipath_hash_policy=1")
    assert eventually(lambda: all(agents.holders(vip, "kube-lb0") == list(NODES) for vip in ROUTED.values()))
    route_over(agents, WORKER11, WORKER12)

    with conversing(agents, ROUTED, "16", "0.02") as seen:
        route_over(agents, MASTER, WORKER11, WORKER12)
        time.sleep(1.0)
        agents.lab.must("fault", SHORT[MASTER], "power")
        route_over(agents, WORKER11, WORKER12)
        time.sleep(1.0)
        agents.lab.kubectl("cordon", WORKER11)
        assert eventually(lambda: WORKER11 not in agents.holders(ROUTED["routed-four"], "kube-lb0"), seconds=10)
        route_over(agents, WORKER12)
        assert eventually(lambda: astray(agents, WORKER12) > 0, seconds=10)
        agents.lab.must("fault", SHORT[WORKER12], "agent-kill")
        agents.lab.must("heal", SHORT[WORKER12])
        assert eventually(lambda: "flows_supported 1.0" in metrics(agents, WORKER12), seconds=20)
    agents.lab.kubectl("uncordon", WORKER11)
    agents.lab.must("heal", SHORT[MASTER])

    assert [client["broken"] for client in seen] == [[], []]
