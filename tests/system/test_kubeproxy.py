"""The way of a packet through a lab: client, node, kube-proxy's rules, pod. PureLB has no part in it.

The same tests for the lab's stand-in and, where the variable KUBE_PROXY names one, a real kube-proxy.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab.kubeproxy.health import PORT
from lab.kubeproxy.real import VARIABLE
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

MASTER, W11, W12 = "master", "worker-188-11", "worker-188-12"
ADDRESS: Final = {MASTER: "10.31.188.1", W11: "10.31.188.11", W12: "10.31.188.12"}
VIP, VIP6, SILENT, AWAY, STICKY, GRACE, GUARDED, GUARDED6, STRANGE = (
    "10.31.188.70",
    "fd00:10:31::188:70",
    "10.31.188.71",
    "10.31.188.72",
    "10.31.188.73",
    "10.31.188.74",
    "10.31.188.76",
    "fd00:10:31::188:76",
    "10.31.188.77",
)
CLIENT: Final = "10.31.100.2"
REFUSED: Final = "Couldn't connect"  # at once, as curl says it; what isn't answered times out
HEALTH_NODE_PORT, NODE_PORT = 30123, 30080


def deployment(name: str, replicas: int, **pod: Any) -> dict[str, Any]:
    container = {"name": "web", "image": "echo", "ports": [{"containerPort": 8080}], **pod.pop("container", {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], **pod}},
        },
    }


def service(name: str, app: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app": app},
            "allocateLoadBalancerNodePorts": False,
            "ports": [{"port": 80, "targetPort": 8080}],
            **spec,
        },
    }


BOTH: Final = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
OBJECTS: Final = [
    deployment("web", 2),
    deployment("waiting", 1, container={"readinessProbe": {"exec": {"command": ["false"]}}}),
    service("plain", "web", **BOTH, ports=[{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}]),
    service("nobody", "nobody"),
    service("local", "web", externalTrafficPolicy="Local", healthCheckNodePort=HEALTH_NODE_PORT),
    service("sticky", "web", sessionAffinity="ClientIP"),
    service("waiting", "waiting"),
    # The client is in one of the ranges, and so is the node that has the address; the router is in none.
    service(
        "guarded",
        "web",
        **BOTH,
        loadBalancerSourceRanges=["10.31.100.0/24", "10.31.188.12/32", "fd00:10:31::100:2/128"],
    ),
    service("strange", "web", loadBalancerSourceRanges=["fd00:10:31::/64"]),
]
VIPS: Final = {
    "plain": [VIP, VIP6],
    "nobody": [SILENT],
    "local": [AWAY],
    "sticky": [STICKY],
    "waiting": [GRACE],
    "guarded": [GUARDED, GUARDED6],
    "strange": [STRANGE],
}


class Cluster:
    """A lab with web servers, whose Services have addresses that some node has."""

    def __init__(self, folder: Path) -> None:
        self.lab = LabUnderTest(folder)
        self.hosts = self.lab.hosts

    def apply(self, *objects: dict[str, Any]) -> None:
        self.lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def give(self, name: str, vips: list[str]) -> None:
        status = {"status": {"loadBalancer": {"ingress": [{"ip": vip} for vip in vips]}}}
        self.lab.kubectl("patch", "service", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))

    def place(self, vip: str, node: str) -> None:
        """Have the address on that node alone."""
        length = 64 if ":" in vip else 16
        for other in ADDRESS:
            self.hosts.run(other, ["ip", "addr", "del", f"{vip}/{length}", "dev", "eth0"])
        self.hosts.output(node, "ip", "addr", "add", f"{vip}/{length}", "dev", "eth0")
        self.hosts.run("client", ["ip", "neigh", "flush", "dev", "eth0"])

    def ask(self, vip: str, port: int = 80, host: str = "client") -> tuple[str, str]:
        """Which node's pod answers, and whom it saw; ("", why) without an answer."""
        url = f"http://[{vip}]:{port}/" if ":" in vip else f"http://{vip}:{port}/"
        done = self.hosts.run(host, ["curl", "-sS", "--max-time", "1", url])
        if done.returncode != 0:
            return "", done.stderr
        node, peer, _ = done.stdout.split()
        return node.split(".")[0].removeprefix("tiny-cilium-"), peer.rpartition(":")[0]

    def health(self, node: str, port: int = PORT) -> str:
        """The status code of a health port, or what curl says."""
        url = f"http://{ADDRESS[node]}:{port}/healthz"
        done = self.hosts.run(
            "client", ["curl", "-sS", "--max-time", "1", "-o", "/dev/null", "-w", "%{http_code}", url]
        )
        return done.stdout if done.returncode == 0 else done.stderr

    def answerers(self, vip: str, times: int = 20) -> set[str]:
        return {self.ask(vip)[0] for _ in range(times)}

    def has_heard_that_pods_are_gone(self, node: str) -> bool:
        """Whether the node's kube-proxy refuses what is for Service ``plain``: the witness that there was news."""
        return REFUSED in self.ask(ADDRESS[node], NODE_PORT)[1]

    def pods(self, app: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hosts.get("pods", "-l", f"app={app}")["items"]
        return found

    def scale(self, app: str, replicas: int) -> None:
        self.lab.kubectl("scale", f"deployment/{app}", f"--replicas={replicas}")


@pytest.fixture(scope="module", params=["stand-in", "real"] if os.environ.get(VARIABLE) else ["stand-in"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="purelb-proxy-") as folder:
        if request.param == "stand-in":
            patch.delenv(VARIABLE, raising=False)
        cluster = Cluster(Path(folder))
        cluster.lab.must("up", "--bare")
        try:
            cluster.apply(*OBJECTS)
            for name, vips in VIPS.items():
                cluster.give(name, vips)
                for vip in vips:
                    cluster.place(vip, W12)
            assert eventually(lambda: cluster.answerers(VIP) == {W11, W12}, seconds=30)
            yield cluster
        finally:
            cluster.lab.down()


@pytest.fixture
def is_real(request: pytest.FixtureRequest, cluster: Cluster) -> bool:
    return "real" in request.node.callspec.params.values()


def test_port_80_of_a_node_is_nobodys(cluster: Cluster) -> None:
    assert REFUSED in cluster.ask(ADDRESS[W11])[1]


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_a_vip_goes_to_pods_of_all_nodes_which_see_the_node_that_took_it(cluster: Cluster, vip: str) -> None:
    assert eventually(lambda: cluster.answerers(vip) == {W11, W12})

    peers = {cluster.ask(vip)[1] for _ in range(12)}
    assert peers <= {ADDRESS[W12], *(f"[{address}]" for address in ("fd00:10:31::188:12", VIP6, GUARDED6))}


def test_a_vip_is_served_where_it_is_and_needs_no_pod_there(cluster: Cluster) -> None:
    cluster.place(VIP, MASTER)
    try:
        assert {cluster.ask(VIP)[1] for _ in range(6)} == {ADDRESS[MASTER]}
    finally:
        cluster.place(VIP, W12)


def test_policy_local_keeps_to_the_node_and_shows_the_client(cluster: Cluster) -> None:
    assert {cluster.ask(AWAY) for _ in range(10)} == {(W12, CLIENT)}


def test_policy_local_without_a_pod_on_the_node_is_silence(cluster: Cluster) -> None:
    cluster.place(AWAY, MASTER)
    try:
        assert "timed out" in cluster.ask(AWAY)[1]
    finally:
        cluster.place(AWAY, W12)


def test_health_node_ports_tell_where_pods_are(cluster: Cluster) -> None:
    assert eventually(lambda: cluster.health(W11, HEALTH_NODE_PORT) == cluster.health(W12, HEALTH_NODE_PORT) == "200")
    assert eventually(lambda: cluster.health(MASTER, HEALTH_NODE_PORT) == "503")


def test_a_service_without_endpoints_refuses_at_once(cluster: Cluster) -> None:
    assert REFUSED in cluster.ask(SILENT)[1]


def test_a_pod_that_is_not_ready_gets_nothing(cluster: Cluster) -> None:
    assert eventually(lambda: [pod["status"].get("phase") for pod in cluster.pods("waiting")] == ["Running"])
    assert REFUSED in cluster.ask(GRACE)[1]


def test_affinity_keeps_the_client_at_one_pod(cluster: Cluster) -> None:
    assert eventually(lambda: len(cluster.answerers(STICKY)) == 1)


def test_node_ports_are_served_by_every_node(cluster: Cluster) -> None:
    assert eventually(lambda: {cluster.ask(ADDRESS[MASTER], NODE_PORT)[0] for _ in range(20)} == {W11, W12})


@pytest.mark.parametrize("vip", [GUARDED, GUARDED6])
def test_source_ranges_let_in_whom_they_name_and_drop_others(cluster: Cluster, vip: str) -> None:
    assert eventually(lambda: cluster.answerers(vip) == {W11, W12})
    assert "timed out" in cluster.ask(vip, host="router")[1]


def test_a_node_in_a_source_range_is_let_in_by_the_address_that_it_has(cluster: Cluster) -> None:
    assert cluster.ask(GUARDED, host=W12)[0]
    assert "timed out" in cluster.ask(GUARDED, host=MASTER)[1]


def test_source_ranges_guard_no_cluster_ip(cluster: Cluster) -> None:
    found = cluster.hosts.get("service", "guarded")
    assert cluster.ask(found["spec"]["clusterIP"], host=MASTER)[0]


def test_source_ranges_of_the_other_family_keep_nobody_off(cluster: Cluster) -> None:
    assert eventually(lambda: cluster.answerers(STRANGE) == {W11, W12})


def test_every_node_reaches_cluster_ips(cluster: Cluster) -> None:
    found = cluster.hosts.get("service", "plain")
    assert eventually(
        lambda: {cluster.ask(found["spec"]["clusterIP"], host=MASTER)[0] for _ in range(20)} == {W11, W12}
    )


def test_endpoints_follow_pods(cluster: Cluster) -> None:
    cluster.scale("web", 1)
    try:
        assert eventually(lambda: len(cluster.answerers(VIP)) == 1)
        (pod,) = eventually(lambda: found if len(found := cluster.pods("web")) == 1 else [], seconds=5)
        assert cluster.answerers(VIP, 5) == {pod["spec"]["nodeName"].split(".")[0].removeprefix("tiny-cilium-")}
    finally:
        cluster.scale("web", 2)
    assert eventually(lambda: cluster.answerers(VIP) == {W11, W12})


def test_the_last_pod_serves_while_it_terminates(cluster: Cluster) -> None:
    stays = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "4"]}}}}
    cluster.apply(deployment("leaving", 1, container=stays), service("leaving", "leaving"))
    vip = "10.31.188.75"
    cluster.give("leaving", [vip])
    cluster.place(vip, W12)
    assert eventually(lambda: cluster.ask(vip)[0])

    cluster.scale("leaving", 0)
    assert eventually(lambda: all("deletionTimestamp" in pod["metadata"] for pod in cluster.pods("leaving")), seconds=3)
    assert cluster.ask(vip)[0]
    assert eventually(lambda: REFUSED in cluster.ask(vip)[1])
    cluster.lab.kubectl("delete", "service/leaving", "deployment/leaving")


# --- faults ---


def test_its_health_port_answers_on_every_node(cluster: Cluster) -> None:
    for node in ADDRESS:
        assert eventually(lambda: cluster.health(node) == "200"), node  # noqa: B023


@pytest.mark.parametrize(("kind", "sign"), [("proxy-frozen", "timed out"), ("proxy-dead", REFUSED)])
def test_frozen_or_dead_it_leaves_its_rules_and_hears_nothing(cluster: Cluster, kind: str, sign: str) -> None:
    cluster.lab.must("fault", W12, kind)
    try:
        assert eventually(lambda: sign in cluster.health(W12))
        assert kind in cluster.lab.must("status")
        cluster.scale("web", 0)
        assert eventually(lambda: not cluster.pods("web"))
        assert eventually(lambda: cluster.has_heard_that_pods_are_gone(W11))
        # The rules still name pods that are gone: nobody refuses, nobody answers, and that isn't for being slow.
        told = [cluster.ask(VIP)[1] for _ in range(3)]
        assert not any(REFUSED in one for one in told), told
    finally:
        cluster.lab.must("heal", W12)
        cluster.scale("web", 2)
    assert eventually(lambda: cluster.answerers(VIP) == {W11, W12})
    assert eventually(lambda: cluster.health(W12) == "200")


def test_late_it_follows_after_some_seconds(cluster: Cluster, is_real: bool) -> None:
    if is_real:
        assert "can't be made late" in cluster.lab.run("fault", W12, "proxy-late").stderr
        return
    cluster.lab.must("fault", W12, "proxy-late")
    try:
        cluster.scale("web", 0)
        assert eventually(lambda: not cluster.pods("web"))  # before, the kernel of a pod whose program is over refuses
        assert eventually(lambda: cluster.has_heard_that_pods_are_gone(W11), every=0.01)
        assert REFUSED not in cluster.ask(VIP)[1]
        assert eventually(lambda: REFUSED in cluster.ask(VIP)[1])
    finally:
        cluster.lab.must("heal", W12)
        cluster.scale("web", 2)
    assert eventually(lambda: cluster.answerers(VIP) == {W11, W12})
