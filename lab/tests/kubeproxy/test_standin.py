"""When the stand-in loads rules, and what its health ports say."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from lab.errors import FaultRefused, NftFailed, StartFailed
from lab.kubeproxy.health import LocalEndpoints, proxy_answer, service_answer
from lab.kubeproxy.rules import NodeView
from lab.kubeproxy.services import Address, Endpoint, ServicePort
from lab.kubeproxy.standin import DEAD, FROZEN, StandIn, health_ports

HERE = Endpoint(ip_address("10.0.1.9"), 8080, "here", is_ready=True)
WEB = ServicePort("default", "web", "", "tcp", 80, ip_address("10.188.0.7"), health_check_port=30123, endpoints=(HERE,))


def test_its_own_port_says_whether_rules_are_loaded() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert proxy_answer(True, now) == (200, {}, '{"lastUpdated": "2026-01-02 03:04:05 UTC", "nodeEligible": true}')
    assert proxy_answer(False, now)[0] == 503


def test_a_health_check_node_port_counts_ready_endpoints_of_the_node() -> None:
    leaving = replace(HERE, address=ip_address("10.0.1.10"), is_ready=False)
    there = replace(HERE, address=ip_address("10.0.2.9"), node="there")
    ports = health_ports([replace(WEB, endpoints=(HERE, leaving, there)), replace(WEB, port=443)], "here")

    assert ports == {30123: LocalEndpoints("default", "web", 1)}
    status, headers, body = service_answer(ports[30123], is_healthy=True)
    assert (status, headers) == (200, {"X-Load-Balancing-Endpoint-Weight": "1"})
    assert json.loads(body)["localEndpoints"] == 1
    assert service_answer(LocalEndpoints("default", "web", 0), is_healthy=True)[0] == 503
    assert service_answer(LocalEndpoints("default", "web", 1), is_healthy=False)[0] == 503


class Node:
    """A stand-in whose rules go into a list, and whose ports are any of loopback's."""

    def __init__(self) -> None:
        self.ports: Sequence[ServicePort] = ()
        self.loaded: list[str] = []
        self.refusals = 0
        self.riddles = 0
        self.bound: list[set[str]] = []
        self.bind_refusals = 0
        self.listening: list[socket.socket] = []
        self.may_listen = threading.Event()
        self.may_listen.set()
        self.reachable = asyncio.Event()
        self.reachable.set()
        view = NodeView("here", (), ())
        self.proxy = StandIn(view, self._load, self._listen, self._ports, self.reachable, self._bind)

    def _ports(self) -> Sequence[ServicePort]:
        if self.riddles:
            self.riddles -= 1
            raise ValueError("what is this?")
        return self.ports

    def _load(self, script: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NftFailed("no")
        self.loaded.append(script)

    def _bind(self, addresses: frozenset[Address]) -> None:
        if self.bind_refusals:
            self.bind_refusals -= 1
            raise StartFailed("no link")
        self.bound.append({str(one) for one in addresses})

    def _listen(self, _: int) -> socket.socket:
        self.listening.append(socket.create_server(("127.0.0.1", 0)))
        self.may_listen.wait(5)
        return self.listening[-1]

    def have(self, *ports: ServicePort) -> None:
        self.ports = ports
        self.proxy.tell()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


def run(story: Callable[[Node], object]) -> None:
    async def play() -> None:
        node = Node()
        task = asyncio.create_task(node.proxy.run())
        try:
            await until(lambda: len(node.loaded) == 1)
            await story(node)  # type: ignore[misc]
        finally:
            task.cancel()

    asyncio.run(play())


def test_rules_follow_and_the_same_rules_are_not_loaded_twice() -> None:
    async def story(node: Node) -> None:
        node.have(WEB)
        await until(lambda: len(node.loaded) == 2)
        assert "10.188.0.7 . tcp . 80" in node.loaded[-1]
        node.have(WEB)
        await asyncio.sleep(0.1)
        assert len(node.loaded) == 2

    run(story)


@pytest.mark.parametrize("kind", [FROZEN, DEAD])
def test_with_a_fault_rules_stay_until_it_is_healed(kind: str) -> None:
    async def story(node: Node) -> None:
        node.proxy.fail(kind)
        with pytest.raises(FaultRefused, match=kind):
            node.proxy.fail(FROZEN)
        node.have(WEB)
        await asyncio.sleep(0.1)
        assert (len(node.loaded), node.proxy.fault) == (1, kind)
        node.proxy.heal()
        await until(lambda: len(node.loaded) == 2)

    run(story)


def test_without_the_api_server_it_hears_nothing() -> None:
    async def story(node: Node) -> None:
        node.reachable.clear()
        node.have(WEB)
        await asyncio.sleep(0.1)
        assert len(node.loaded) == 1
        node.reachable.set()
        await until(lambda: len(node.loaded) == 2)

    run(story)


def test_rules_that_the_kernel_refuses_are_tried_again() -> None:
    async def story(node: Node) -> None:
        node.refusals = 1
        node.have(WEB)
        await until(lambda: node.proxy.fault is not None)
        assert node.proxy.fault == "kube-proxy: no"
        await until(lambda: len(node.loaded) == 2)
        await until(lambda: node.proxy.fault is None)

    run(story)


def test_in_mode_ipvs_addresses_follow_too_and_are_tried_again() -> None:
    async def story(node: Node) -> None:
        node.bind_refusals = 1
        node.have(replace(WEB, endpoints=(), load_balancer_ips=(ip_address("10.31.188.64"),)))
        await until(lambda: node.proxy.fault == "kube-proxy: no link")
        await until(lambda: bool(node.bound))
        assert node.bound == [{"10.188.0.7", "10.31.188.64"}]
        node.have()
        await until(lambda: node.bound[-1] == set())
        assert node.proxy.fault is None

    run(story)


def test_what_nobody_foresaw_ends_no_lab_and_is_tried_again() -> None:
    async def story(node: Node) -> None:
        node.riddles = 1
        node.have(WEB)
        await until(lambda: node.proxy.fault is not None)
        assert node.proxy.fault == "kube-proxy: ValueError: what is this?"
        await until(lambda: len(node.loaded) == 2)
        await until(lambda: node.proxy.fault is None)

    run(story)


def test_frozen_and_without_the_api_server_it_waits_for_the_end_of_both() -> None:
    async def story(node: Node) -> None:
        node.reachable.clear()
        node.have(WEB)
        await asyncio.sleep(0.05)
        node.proxy.fail(FROZEN)
        node.reachable.set()
        await asyncio.sleep(0.05)
        node.reachable.clear()
        node.proxy.heal()
        await asyncio.sleep(0.1)
        assert len(node.loaded) == 1
        node.reachable.set()
        await until(lambda: len(node.loaded) == 2)

    run(story)


def test_a_port_that_is_being_opened_when_it_dies_is_closed_too() -> None:
    async def story(node: Node) -> None:
        await until(lambda: len(node.listening) == 1)
        node.may_listen.clear()
        node.have(WEB)
        await until(lambda: len(node.listening) == 2)
        node.proxy.fail(DEAD)
        node.may_listen.set()
        await until(lambda: all(one.fileno() == -1 for one in node.listening))
        node.proxy.heal()
        await until(lambda: len(node.listening) == 4)

    run(story)
