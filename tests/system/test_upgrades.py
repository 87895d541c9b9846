"""From a cluster as PureLB v0.6.1, v0.13 and v0.17 leave it: addresses stay where they are, and nobody is noisy."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.command.lifecycle import MANIFEST
from purelb.announcing import parse
from purelb.election import owner
from tests.system.agentlab import MASTER, NODES, WORKER11, WORKER12, AgentLab
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(300)

STATES = Path(__file__).parent / "upgrades"
NAMESPACE = "nginx-quic"
OLD_KEY = b"8sb7ikA5qHwQQqxc"
MOST_EVENTS = 4 * len(NODES)
"""Of one Service: an agent that is up before the others has its address first, and hands it over."""
Json = dict[str, Any]


class Upgraded:
    """A lab in which our manifest was applied over what an older version left."""

    def __init__(self, lab: AgentLab, state: Path) -> None:
        self.version = state.stem
        self.lab = lab
        self._kubectl = lab.lab.kubectl
        self.left: list[Json] = [body for body in yaml.safe_load_all(state.read_text()) if body]

    def restore(self) -> None:
        """Put what the older version left into the cluster: definitions first, then objects, then their status."""
        definitions = [body for body in self.left if body["kind"] in ("Namespace", "CustomResourceDefinition")]
        self.lab.apply(*definitions)
        self._kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.lab.apply(*(body for body in self.left if body not in definitions))
        for name, before in self.left_services.items():
            if "status" in before:
                patch = json.dumps({"status": before["status"]})
                patching = ("patch", "svc", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
                self._kubectl(*patching, "--field-manager=allocator")  # as client-go calls PureLB's program

    @property
    def left_services(self) -> dict[str, Json]:
        return {body["metadata"]["name"]: body for body in self.left if body["kind"] == "Service"}

    def services(self) -> dict[str, Json]:
        found = self.lab.hosts.get("services", "-n", NAMESPACE)["items"]
        return {body["metadata"]["name"]: body for body in found}

    def events(self) -> list[Json]:
        found: list[Json] = self.lab.hosts.get("events", "-n", NAMESPACE)["items"]
        return found

    def warnings(self) -> list[str]:
        return [event["message"] for event in self.events() if event["type"] == "Warning"]

    def on_the_wire(self) -> list[str]:
        """The addresses that belong on a NIC."""
        return [ip for body in self.left_services.values() for ip in ips_of(body) if not ip.startswith("10.189.")]

    def is_settled(self) -> bool:
        return all(self.lab.holders(ip) == [owner(NODES, ip_address(ip))] for ip in self.on_the_wire()) and all(
            announcers(body) == owners(body) for body in self.services().values()
        )


def ips_of(body: Json) -> list[str]:
    return [entry["ip"] for entry in body.get("status", {}).get("loadBalancer", {}).get("ingress") or ()]


def announcers(body: Json) -> set[str]:
    """The nodes that a Service's annotations name."""
    annotations = body["metadata"]["annotations"]
    values = [annotations.get(f"purelb.io/announcing-{family}") for family in ("IPv4", "IPv6")]
    return {entry.node for value in values for entry in parse(value, [])}


def owners(body: Json) -> set[str]:
    return {owner(NODES, ip_address(ip)) or "" for ip in ips_of(body) if not ip.startswith("10.189.")}


@pytest.fixture(scope="module", params=sorted(STATES.glob("*.yaml")), ids=lambda path: str(path.stem))
def upgraded(request: pytest.FixtureRequest) -> Iterator[Upgraded]:
    with tempfile.TemporaryDirectory(prefix="purelb-upgrade-") as folder:
        lab = LabUnderTest(Path(folder))
        try:
            lab.must("up", "--bare", timeout=150)
            cluster = Upgraded(AgentLab(lab), request.param)
            cluster.restore()
            lab.kubectl("apply", "-f", str(MANIFEST))
            assert eventually(cluster.is_settled, seconds=60), lab.must("status")
            yield cluster
        finally:
            lab.down()


def test_every_service_keeps_its_addresses(upgraded: Upgraded) -> None:
    after = upgraded.services()

    for name, before in upgraded.left_services.items():
        assert ips_of(after[name])[: len(ips_of(before))] == ips_of(before), name


def test_addresses_are_where_they_were(upgraded: Upgraded) -> None:
    for name, before in upgraded.left_services.items():
        if name not in ("stale", "failed", "partial"):
            assert announcers(upgraded.services()[name]) == announcers(before), name


def test_what_failed_or_went_stale_is_put_right(upgraded: Upgraded) -> None:
    after = upgraded.services()

    if "stale" in after:
        assert announcers(after["stale"]) == owners(after["stale"])
    if "failed" in after:
        assert eventually(lambda: len(ips_of(upgraded.services()["failed"])) == 1)
        assert eventually(lambda: len(ips_of(upgraded.services()["partial"])) == 2)


def test_a_new_service_gets_an_address_that_nobody_has(upgraded: Upgraded) -> None:
    taken = [ip for body in upgraded.services().values() for ip in ips_of(body)]
    group = next(body for body in upgraded.left if body["kind"] == "ServiceGroup")["metadata"]["name"]
    metadata = {"name": "new", "namespace": "default", "annotations": {"purelb.io/service-group": group}}
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 80}]}

    upgraded.lab.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    given = eventually(lambda: ips_of(upgraded.lab.service("new")))
    assert given
    assert not set(given) & set(taken)


def test_nobody_makes_a_noise(upgraded: Upgraded) -> None:
    """One warning, of a pool that needs a router; few events while agents start one by one; then nothing any more."""
    # v1 has no other pool for addresses behind a router; v0.17 has `remote` ones, which say that they are meant so.
    needs_router = upgraded.version in ("v0.6.1", "v0.13")
    assert eventually(lambda: upgraded.warnings() if needs_router else not upgraded.warnings())
    assert all("reached through a router" in warning for warning in upgraded.warnings())
    for name in upgraded.left_services:
        ours = [event for event in upgraded.events() if event["involvedObject"]["name"] == name]
        assert sum(event["count"] for event in ours) <= MOST_EVENTS, [event["message"] for event in ours]
    versions = {name: body["metadata"]["resourceVersion"] for name, body in upgraded.services().items()}

    assert not eventually(
        lambda: {name: body["metadata"]["resourceVersion"] for name, body in upgraded.services().items()} != versions,
        seconds=5,
    )


def test_the_objects_of_either_version_are_served_in_both(upgraded: Upgraded) -> None:
    names = sorted(body["metadata"]["name"] for body in upgraded.left if body["kind"] == "ServiceGroup")

    for version in ("v1", "v2"):
        found = upgraded.lab.hosts.get(f"servicegroups.{version}.purelb.io", "-A")["items"]
        assert sorted(body["metadata"]["name"] for body in found) == names
        assert all(body["status"]["conditions"][0]["status"] == "True" for body in found)
    assert len(upgraded.lab.hosts.get("lbnodeagents.purelb.io", "-A")["items"]) == 1


def test_the_gossip_goes_on_with_the_key_that_is_there_or_gets_one_of_its_own(upgraded: Upgraded) -> None:
    page = upgraded.lab.hosts.output(NODES[0], "curl", "-s", "http://10.31.188.1:7472/metrics")

    old = f'purelb_gossip_key{{fingerprint="{hashlib.sha256(OLD_KEY).hexdigest()[:8]}",use="seals"}} 1.0'
    assert 'use="seals"} 1.0' in page
    assert (old in page) == any(body["kind"] == "Secret" for body in upgraded.left)


OLD_AGENT = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: old-lbnodeagent, namespace: purelb}}
spec:
  selector: {{matchLabels: {{app: purelb, component: lbnodeagent, version: old}}}}
  template:
    metadata: {{labels: {{app: purelb, component: lbnodeagent, version: old}}}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 2
      nodeSelector: {{agent: old}}
      tolerations: [{{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}}]
      containers:
        - name: lbnodeagent
          image: purelb-standin:1
          command: [python3, -m, memberlist, --name, $(NODE), --bind, "$(HOST):7934", --key, $(KEY)]
          env:
            - {{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
            - {{name: HOST, valueFrom: {{fieldRef: {{fieldPath: status.hostIP}}}}}}
            - {{name: KEY, value: "{base64.b64encode(OLD_KEY).decode()}"}}
"""
"""As far as the new agents can tell, a node that isn't upgraded yet: a member without anything but its name and key."""


def test_old_and_new_agents_elect_together_while_the_daemonset_rolls() -> None:
    with tempfile.TemporaryDirectory(prefix="purelb-upgrade-") as folder:
        lab = LabUnderTest(Path(folder))
        try:
            lab.must("up", "--bare", timeout=150)
            cluster = Upgraded(AgentLab(lab), STATES / "v0.6.1.yaml")
            cluster.restore()
            lab.kubectl("label", "node", MASTER, "agent=old")
            lab.kubectl("apply", "-f", "-", stdin=OLD_AGENT)
            objects = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
            agent = next(body for body in objects if body["kind"] == "DaemonSet")["spec"]["template"]["spec"]
            agent["nodeSelector"]["agent"] = "new"
            lab.kubectl("label", "node", WORKER11, WORKER12, "agent=new")
            lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

            theirs = {ip for ip in cluster.on_the_wire() if owner(NODES, ip_address(ip)) == MASTER}
            others = set(cluster.on_the_wire()) - theirs
            assert theirs
            assert eventually(lambda: all(len(cluster.lab.holders(ip)) == 1 for ip in others), seconds=60)
            assert eventually(lambda: not any(cluster.lab.holders(ip) for ip in theirs)), "the old agent isn't heard"

            lab.kubectl("delete", "daemonset", "old-lbnodeagent", "-n", "purelb")
            lab.kubectl("label", "node", MASTER, "agent=new", "--overwrite")
            assert eventually(cluster.is_settled, seconds=60), lab.must("status")
        finally:
            lab.down()
