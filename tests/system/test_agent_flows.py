"""Connections through kube-proxy when their address moves by plan: none breaks, whichever way it goes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from bench.conversations import talkers
from tests.system.agentlab import SHORT, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(180)

VIPS = {"four": "10.31.188.64", "six": "fd00:10:31::1:67"}
"""Each worker-188-11's, then worker-188-12's, by the election's rule."""
TABLE = "purelb-flows"


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes(environment={"PURELB_KEEP_FLOWS": "true", "PURELB_RETURN_WITHIN": "0"}) as lab:
        ports = [{"name": name, "protocol": name.upper(), "port": 80, "targetPort": 8080} for name in ("tcp", "udp")]
        services = (service(name, "wire", ip=vip, selector={"app": "talk"}, ports=ports) for name, vip in VIPS.items())
        lab.apply(talkers(3), *services)
        lab.settle()
        page = lab.hosts.output("client", "curl", "-s", "http://10.31.188.11:7472/metrics")
        if "purelb_lbnodeagent_flows_supported 0.0" in page:
            pytest.skip("this kernel's nftables can't pass packets on")
        assert eventually(lambda: are_on(lab, WORKER11), seconds=20)
        yield lab


def are_on(lab: AgentLab, node: str) -> bool:
    return all(lab.holders(vip) == [node] for vip in VIPS.values())


def has_table(lab: AgentLab, *, is_there: bool) -> bool:
    return (TABLE in lab.hosts.output(WORKER11, "nft", "list", "tables")) == is_there


@contextmanager
def conversing(lab: AgentLab) -> Iterator[list[dict[str, Any]]]:
    """Eight connections to each address, four flows of datagrams, and new connections; what their client saw is in the
    list afterwards."""
    arguments = ("80", "8", "0.02", "10", "4")
    clients = [lab.hosts.spawn("client", "bench.conversations", vip, *arguments) for vip in VIPS.values()]
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
        (WORKER12, lambda: agents.lab.kubectl("cordon", WORKER11), True),
        (WORKER11, lambda: agents.lab.kubectl("uncordon", WORKER11), True),
        (WORKER12, lambda: agents.lab.must("fault", SHORT[WORKER11], "agent-stop"), False),
        (WORKER11, lambda: agents.lab.must("heal", SHORT[WORKER11]), True),
    ]
    for to, move, has_agent in moves:
        with conversing(agents) as seen:
            move()
            assert eventually(partial(are_on, agents, to), seconds=20)
            # An agent that ends leaves no rules, though its kernel goes on serving what is passed on to it.
            assert eventually(partial(has_table, agents, is_there=has_agent), seconds=30), to
        assert [client["broken"] for client in seen] == [[], []], to
        assert [client["failed"] for client in seen] == [[], []]
        assert [first == last for client in seen for first, last in client["answerers"]] == [True] * 8
