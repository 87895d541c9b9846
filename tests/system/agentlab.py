"""A lab with PureLB in it, seen as the agent's users see it: the kernels, the wire, the API."""

from __future__ import annotations

import json
import re
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lab.command.lifecycle import MANIFEST, with_environment
from tests.system.conftest import LabUnderTest, eventually
from tests.system.recording import recorded

MASTER = "tiny-cilium-master-188-1.k8s.tcinternal"
WORKER11 = "tiny-cilium-worker-188-11.k8s.tcinternal"
WORKER12 = "tiny-cilium-worker-188-12.k8s.tcinternal"
NODES = (MASTER, WORKER11, WORKER12)
SHORT = {MASTER: "master", WORKER11: "worker-188-11", WORKER12: "worker-188-12"}

GROUPS = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: wire, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.31.0.0/16, pool: 10.31.188.64-10.31.188.250, aggregation: /32}
    v6pool: {subnet: "fd00:10:31::/64", pool: "fd00:10:31::1:0-fd00:10:31::1:ffff", aggregation: /128}
---
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: routed, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.189.0.0/16, pool: 10.189.0.0-10.189.255.254, aggregation: /32}
    v6pool: {subnet: "fd00:10:189::/64", pool: "fd00:10:189::-fd00:10:189::ffff", aggregation: default}
"""


def service(name: str, group: str, *, ip: str | None = None, policy: str = "Cluster", **more: Any) -> dict[str, Any]:
    """A LoadBalancer Service; of IPv6 when its address is."""
    family = "IPv6" if ip is not None and ip_address(ip).version == 6 else "IPv4"
    annotations = {"purelb.io/service-group": group, **more.pop("annotations", {})}
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "externalTrafficPolicy": policy,
        "ipFamilies": [family],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80}],
        **more,
    }
    if ip is not None:
        spec["loadBalancerIP"] = ip
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def endpoint_slice(of: str, *nodes: str) -> dict[str, Any]:
    """Ready endpoints of a Service on these nodes."""
    endpoints = [
        {"addresses": [f"10.0.9.{number}"], "nodeName": node, "conditions": {"ready": True}}
        for number, node in enumerate(nodes, 1)
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": of, "namespace": "default", "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"port": 80, "protocol": "TCP"}],
    }


@dataclass(frozen=True, slots=True)
class Silence:
    """What a pinging client saw: times in milliseconds."""

    replies: int
    lost: int
    longest: float


class AgentLab:
    """PureLB on three nodes. Looks at kernels, frames and API objects only."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.lab = lab
        self.hosts = lab.hosts

    # --- the API -----------------------------------------------------------------------------------------------------

    def apply(self, *objects: dict[str, Any]) -> None:
        self.lab.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(one) for one in objects))

    def patch(self, kind: str, name: str, spec: dict[str, Any], namespace: str = "default") -> None:
        """Merge into an object's spec."""
        body = json.dumps({"spec": spec})
        self.lab.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", body)

    def delete(self, name: str) -> None:
        self.lab.kubectl("delete", "service", name, "--ignore-not-found")

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.hosts.get("service", name)
        return found

    def annotation(self, name: str, family: str = "IPv4") -> str | None:
        annotations: dict[str, str] = self.service(name)["metadata"].get("annotations") or {}
        return annotations.get(f"purelb.io/announcing-{family}")

    def events(self, name: str, reason: str, namespace: str = "default") -> list[str]:
        selector = f"involvedObject.name={name},reason={reason}"
        found = self.hosts.get("events", "-n", namespace, "--field-selector", selector)["items"]
        return [event["message"] for event in found]

    # --- the kernels -------------------------------------------------------------------------------------------------

    def addresses(self, node: str, link: str = "eth0") -> dict[str, dict[str, Any]]:
        """What ``ip -json addr`` says of a link, by address."""
        done = self.hosts.run(node, ["ip", "-json", "addr", "show", "dev", link])
        links = json.loads(done.stdout) if done.returncode == 0 else []
        return {info["local"]: info for one in links if one for info in one["addr_info"] if info}

    def holders(self, ip: str, link: str = "eth0") -> list[str]:
        """The nodes that have an address on a link."""
        return [node for node in NODES if ip in self.addresses(node, link)]

    def owner(self, ip: str, *, seconds: float = 10.0) -> str:
        """The one node that has ``ip`` on its NIC, as soon as it is one."""
        holders = eventually(lambda: found if len(found := self.holders(ip)) == 1 else [], seconds=seconds)
        assert holders, f"{ip} is on {self.holders(ip)}"
        return holders[0]

    def ip(self, host: str, *arguments: str) -> str:
        return self.hosts.output(host, "ip", *arguments)

    def settle(self) -> None:
        """Wait until every agent is ready and nothing is broken."""
        for node in NODES:
            self.lab.must("heal", SHORT[node])
        assert eventually(self.is_settled, seconds=30.0), self.lab.must("status")

    def is_settled(self) -> bool:
        pods = self.hosts.get("pods", "-n", "purelb", "-l", "component=lbnodeagent")["items"]
        return len(pods) == 3 and all(
            any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
            for pod in pods
        )

    def agent_pid(self, node: str) -> int:
        """The agent's process: the one of that name in the node's network namespace."""
        network = self.hosts.output(node, "readlink", "/proc/self/ns/net").strip()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_agent = b"purelb-lbnodeagent" in (process / "cmdline").read_bytes()
                if is_agent and str((process / "ns" / "net").readlink()) == network:
                    return int(process.name)
        raise AssertionError(f"no agent runs on {node}")

    @contextmanager
    def api_away(self) -> Iterator[None]:
        """No node reaches the API server; this test's own kubectl still does."""
        rules = "table inet away { chain in { type filter hook input priority 0; iifname eth0 tcp dport 6443 drop; }; }"
        done = self.hosts.run("api", ["nft", rules])
        if "not supported" in done.stderr:
            pytest.skip("this kernel's nftables know no inet tables")
        assert done.returncode == 0, done.stderr
        try:
            yield
        finally:
            self.hosts.output("api", "nft", "delete table inet away")

    @contextmanager
    def unwanted(self, node: str) -> Iterator[None]:
        """The DaemonSet wants no agent on a node: the one that is there goes for good, until this ends."""
        self.lab.kubectl("label", "node", node, "kubernetes.io/os-")
        try:
            yield
        finally:
            self.lab.kubectl("label", "node", node, "kubernetes.io/os=linux")

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Begin with healthy nodes, and leave them so, without Services."""
        self.settle()
        try:
            yield
        finally:
            self.settle()
            vips: set[str] = set()
            for found in self.hosts.get("services", "-n", "default")["items"]:
                if found["spec"]["type"] == "LoadBalancer":
                    vips.update(entry["ip"] for entry in found["status"].get("loadBalancer", {}).get("ingress", ()))
                    self.delete(found["metadata"]["name"])
            is_clean = eventually(lambda: not self._has_any_of(vips), seconds=30)
            assert is_clean

    def _has_any_of(self, vips: Set[str]) -> bool:
        """Whether a node still has one on its NIC, or any routed one."""
        return any(
            len(self.addresses(node, "kube-lb0")) > 1 or not vips.isdisjoint(self.addresses(node)) for node in NODES
        )

    # --- the wire ----------------------------------------------------------------------------------------------------

    @contextmanager
    def pinging(self, ip: str) -> Iterator[list[Silence]]:
        """The client pings every 5 ms; the list holds what it saw afterwards."""
        seen: list[Silence] = []
        with recorded(self.hosts, "client", "tests.system.pinger", ip, end=signal.SIGINT) as lines:
            time.sleep(1.0)
            yield seen
            time.sleep(0.5)
            ended = time.time()
        replies = re.findall(r"\[([\d.]+)\] \d+ bytes from .* icmp_seq=(\d+) ", "\n".join(lines))
        found = [(float(at), int(number)) for at, number in replies]
        pairs = list(pairwise(found))
        silences = [later[0] - earlier[0] for earlier, later in pairs]
        if found:
            silences.append(ended - found[-1][0])
        seen.append(
            Silence(
                replies=len(replies),
                lost=sum(max(0, later[1] - earlier[1] - 1) for earlier, later in pairs),
                longest=max(silences, default=float("inf")) * 1000,
            )
        )

    @contextmanager
    def capturing(self, host: str) -> Iterator[list[bytes]]:
        """The ARP and neighbour discovery frames that come to a host; the list is filled afterwards."""
        frames: list[bytes] = []
        with recorded(self.hosts, host, "tests.system.capture", end=signal.SIGTERM) as lines:
            time.sleep(0.7)
            yield frames
            time.sleep(0.3)
        frames += map(bytes.fromhex, lines)


@contextmanager
def three_nodes(*, environment: Mapping[str, str] | None = None) -> Iterator[AgentLab]:
    """A lab of its own, with groups for the wire and for routed addresses; ``environment``: of the agents besides."""
    with tempfile.TemporaryDirectory(prefix="purelb-agent-") as folder:
        lab = LabUnderTest(Path(folder))
        try:
            if environment is None:
                lab.must("up")
            else:
                manifest = Path(folder, "purelb.yaml")
                text = with_environment(MANIFEST.read_text(), "lbnodeagent", environment)
                manifest.write_text(with_environment(text, "allocator", {"PURELB_PLACEMENT": "hash"}))
                lab.must("up", "--manifest", str(manifest))
            lab.kubectl("apply", "-f", "-", stdin=GROUPS)
            yield AgentLab(lab)
        finally:
            lab.down()
