"""The stand-in's rules on a real kernel: a client, a node with a VIP, and two pods, one of them on another node."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final

import pytest
from pyroute2 import IPRoute

from lab.kubeproxy.rules import NodeView, empty, ruleset
from lab.kubeproxy.services import Endpoint, ServicePort
from lab.machine.namespaces import inside, new_network_namespace, write_sysctls

VIP: Final = "10.31.188.64"
CLIENT: Final = "10.31.100.2"
NODE: Final = "10.31.188.11"
HERE: Final = Endpoint(ip_address("10.0.1.9"), 8080, "w11", is_ready=True)
THERE: Final = Endpoint(ip_address("10.0.2.9"), 8080, "w12", is_ready=True)
VIEW: Final = NodeView("w11", (ip_address(NODE),), (ip_network("10.0.0.0/16"),))
PORT: Final = ServicePort(
    "default",
    "web",
    "",
    "tcp",
    80,
    ip_address("10.188.0.7"),
    load_balancer_ips=(ip_address(VIP),),
    node_port=30080,
    endpoints=(HERE, THERE),
)


class Scene:
    """The node's namespace with its rules, and who speaks to whom through it."""

    def __init__(self, stack: ExitStack) -> None:
        self.node, self.client = new_network_namespace(), new_network_namespace()
        self.pods = {HERE.address: new_network_namespace(), THERE.address: new_network_namespace()}
        inside(self.node, lambda: write_sysctls({"net.ipv4.ip_forward": "1"}))
        self._join("eth0", self.client, f"{CLIENT}/16", f"{NODE}/16", f"{VIP}/16")
        for number, (address, fd) in enumerate(self.pods.items()):
            self._join(f"pod{number}", fd, f"{address}/24", f"{address - 1}/24")
            self._serve(stack, fd)
        for fd, gateway in ((fd, str(address - 1)) for address, fd in self.pods.items()):
            inside(fd, partial(run, "ip", "route", "add", "default", "via", gateway))

    def _join(self, link: str, other: int, there: str, *here: str) -> None:
        """A cable from the node to another host."""

        def plug() -> None:
            with IPRoute() as ip:
                ip.link("add", ifname=link, kind="veth", peer={"ifname": "eth0", "net_ns_fd": other})

        inside(self.node, plug)
        for fd, name, addresses in ((self.node, link, here), (other, "eth0", (there,))):
            for one in ("lo", name):
                inside(fd, partial(run, "ip", "link", "set", one, "up"))
            for address in addresses:
                inside(fd, partial(run, "ip", "addr", "add", address, "dev", name))

    @staticmethod
    def _serve(stack: ExitStack, fd: int) -> None:
        """Say who asks, on port 8080."""
        listening = inside(fd, lambda: socket.create_server(("", 8080)))

        def answer() -> None:
            while True:
                try:
                    connection, peer = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(f"{connection.getsockname()[0]} {peer[0]}".encode())

        thread = threading.Thread(target=answer)
        thread.start()

        def end() -> None:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            thread.join()

        stack.callback(end)

    def have(self, *ports: ServicePort) -> None:
        """Load the rules."""
        inside(self.node, partial(run, "nft", "-f", "-", text=ruleset(4, ports, VIEW)))

    def ask(self, address: str = VIP, port: int = 80, fd: int | None = None) -> tuple[str, str]:
        """Which pod answers, and whom it saw asking."""
        pod, peer = inside(self.client if fd is None else fd, lambda: speak(address, port)).split()
        return pod, peer


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}\n{text or ''}"
    return done.stdout


def speak(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=1) as connection:
        return connection.recv(100).decode()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if shutil.which("nft") is None:
        pytest.fail("nft is missing: ./prepare test installs it")
    with ExitStack() as stack:
        yield Scene(stack)


def answerers(ask: Callable[[], tuple[str, str]], times: int = 24) -> set[str]:
    return {ask()[0] for _ in range(times)}


def test_policy_cluster_goes_to_any_pod_which_sees_the_node(scene: Scene) -> None:
    scene.have(PORT)

    assert answerers(scene.ask) == {"10.0.1.9", "10.0.2.9"}
    assert not scene.ask()[1].startswith("10.31.100.")


def test_policy_local_goes_to_pods_here_which_see_the_client(scene: Scene) -> None:
    scene.have(replace(PORT, is_local=True))

    assert {scene.ask() for _ in range(12)} == {("10.0.1.9", CLIENT)}


def test_policy_local_without_a_pod_here_is_silent(scene: Scene) -> None:
    scene.have(replace(PORT, is_local=True, endpoints=(THERE,)))

    with pytest.raises(TimeoutError):
        scene.ask()


def test_a_pod_that_asks_an_outer_address_with_policy_local_reaches_pods_elsewhere(scene: Scene) -> None:
    scene.have(replace(PORT, is_local=True, endpoints=(THERE,)))

    assert scene.ask(fd=scene.pods[HERE.address]) == ("10.0.2.9", "10.0.1.9")


def test_without_any_pod_the_client_is_refused_at_once(scene: Scene) -> None:
    scene.have(replace(PORT, endpoints=()))

    with pytest.raises(ConnectionRefusedError):
        scene.ask()


def test_a_pod_reaches_itself_through_its_service(scene: Scene) -> None:
    scene.have(replace(PORT, endpoints=(HERE,)))

    assert scene.ask(address="10.188.0.7", fd=scene.pods[HERE.address])[0] == "10.0.1.9"


def test_the_node_itself_and_node_ports_are_served(scene: Scene) -> None:
    scene.have(PORT)

    assert answerers(lambda: scene.ask(fd=scene.node)) == {"10.0.1.9", "10.0.2.9"}
    assert answerers(lambda: scene.ask(NODE, 30080)) == {"10.0.1.9", "10.0.2.9"}


def test_affinity_keeps_a_client_at_its_pod(scene: Scene) -> None:
    scene.have(replace(PORT, affinity=60))

    assert len(answerers(scene.ask)) == 1


def test_a_pod_that_terminates_serves_while_it_is_the_last(scene: Scene) -> None:
    scene.have(replace(PORT, endpoints=(replace(HERE, is_ready=False),)))
    assert scene.ask()[0] == "10.0.1.9"

    scene.have(replace(PORT, endpoints=(replace(HERE, is_ready=False), THERE)))
    assert answerers(scene.ask) == {"10.0.2.9"}


def test_connections_outlive_a_reload(scene: Scene) -> None:
    scene.have(PORT)

    def connect() -> socket.socket:
        return socket.create_connection((VIP, 80), timeout=1)

    connection = inside(scene.client, connect)
    with connection:
        scene.have(PORT, replace(PORT, name="other", cluster_ip=ip_address("10.188.0.8"), load_balancer_ips=()))
        assert connection.recv(100)


def test_source_ranges_keep_others_off_the_load_balancers_address_alone(scene: Scene) -> None:
    friends = replace(PORT, source_ranges=(ip_network("10.31.100.0/24"), ip_network("10.31.188.11/32")))
    scene.have(friends)
    assert answerers(scene.ask) == {"10.0.1.9", "10.0.2.9"}
    assert scene.ask(fd=scene.node)[0], "the node is in a range, and its own client by the address"
    with pytest.raises(TimeoutError):
        scene.ask(fd=scene.pods[HERE.address])

    scene.have(replace(PORT, source_ranges=(ip_network("192.0.2.0/24"),)))
    for who in (scene.client, scene.node):
        with pytest.raises(TimeoutError):
            scene.ask(fd=who)
    assert scene.ask(NODE, 30080)[0], "node ports are anybody's"
    assert scene.ask("10.188.0.7", fd=scene.pods[HERE.address])[0], "and so is the cluster IP"


@pytest.mark.parametrize("version", [4, 6])
def test_no_services_are_an_empty_table(scene: Scene, version: int) -> None:
    inside(scene.node, lambda: run("nft", "-f", "-", text=ruleset(version, (), VIEW)))
    inside(scene.node, lambda: run("nft", "-f", "-", text=empty(version)))


def test_ipv6_rules_load(scene: Scene) -> None:
    six = replace(
        PORT,
        cluster_ip=ip_address("fd00:1::7"),
        load_balancer_ips=(ip_address("fd00:10:31::188:64"),),
        endpoints=(Endpoint(ip_address("fd00:a::9"), 8080, "w11", is_ready=True),),
        affinity=60,
        is_local=True,
        source_ranges=(ip_network("fd00:10:31::/64"),),
    )
    view = NodeView("w11", (ip_address("fd00:10:31::188:11"),), (ip_network("fd00:a::/48"),))

    inside(scene.node, lambda: run("nft", "-f", "-", text=ruleset(6, [six], view)))

    assert "dnat to [fd00:a::9]:8080" in inside(scene.node, lambda: run("nft", "list", "table", "ip6", "kube-proxy"))
