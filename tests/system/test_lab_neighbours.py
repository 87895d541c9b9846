"""What other controllers and tenants do is real: the API server shows it. No program of ours runs here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from kubedouble.envtest import VARIABLE
from lab.neighbours.meddler import PAUSE
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(120)

NODES = ["10.31.188.1", "10.31.188.11", "10.31.188.12"]


@pytest.fixture(scope="module", params=["embedded", *(["envtest"] if os.environ.get(VARIABLE) else [])])
def lab(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    """One bare lab for all tests of this module, each of which leaves it as it was."""
    with running_lab("--bare", "--control-plane", request.param) as lab:
        yield lab


MARK = "purelb.io/allocated-by"


def add_service(lab: LabUnderTest, name: str) -> None:
    annotations = {MARK: "PureLB", "purelb.io/announcing-IPv4": "w11,eth0", "purelb.io/service-group": "mine"}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "ipFamilies": ["IPv4"]}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    }
    lab.kubectl("create", "-f", "-", stdin=json.dumps(service))


def ingress(lab: LabUnderTest, name: str) -> list[str]:
    found = lab.hosts.get("service", name)["status"]["loadBalancer"].get("ingress") or ()
    return [one["ip"] for one in found]


def notes_of(lab: LabUnderTest, name: str) -> dict[str, str]:
    return dict(lab.hosts.get("service", name)["metadata"].get("annotations") or {})


def test_servicelb_writes_node_addresses_whenever_somebody_else_wrote(lab: LabUnderTest) -> None:
    add_service(lab, "theirs")
    lab.must("fault", "cluster", "servicelb")
    try:
        assert ingress(lab, "theirs") == NODES
        managers = lab.hosts.get("service", "theirs", "--show-managed-fields")["metadata"]["managedFields"]
        assert any(one["manager"] == "servicelb" and one.get("subresource") == "status" for one in managers)

        write = ("patch", "service", "theirs", "--subresource=status", "--type=merge", "-p")
        lab.kubectl(*write, '{"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.80"}]}}}')
        assert eventually(lambda: ingress(lab, "theirs") == NODES)
        add_service(lab, "later")
        assert eventually(lambda: ingress(lab, "later") == NODES)
        assert "faults of the cluster: servicelb" in lab.must("status")
    finally:
        assert "servicelb healed" in lab.must("heal", "cluster")
        lab.kubectl("delete", "service", "theirs", "later", "--ignore-not-found")


def test_an_operator_drops_our_annotations_and_keeps_the_users(lab: LabUnderTest) -> None:
    add_service(lab, "replaced")
    add_service(lab, "spared")
    lab.must("fault", "cluster", "operator", "default/replaced")
    try:
        assert notes_of(lab, "replaced") == {"purelb.io/service-group": "mine"}
        lab.kubectl("annotate", "service", "replaced", f"{MARK}=PureLB")
        assert eventually(lambda: MARK not in notes_of(lab, "replaced"))
        assert MARK in notes_of(lab, "spared")
        lab.must("heal", "cluster", "operator")
        lab.kubectl("annotate", "service", "replaced", f"{MARK}=PureLB")
        time.sleep(2 * PAUSE)
        assert MARK in notes_of(lab, "replaced")
    finally:
        lab.must("heal", "cluster")
        lab.kubectl("delete", "service", "replaced", "spared", "--ignore-not-found")


def test_a_tenant_may_edit_its_namespace_and_nothing_else_until_evicted(lab: LabUnderTest) -> None:
    def may(*what: str) -> bool:
        return lab.hosts.kubectl("--kubeconfig", str(file), "auth", "can-i", *what).stdout.strip() == "yes"

    told = lab.must("fault", "cluster", "tenant", "team")
    file = lab.folder / "tenant-team.kubeconfig"
    try:
        assert f"KUBECONFIG={file}" in told
        assert may("create", "services")
        assert may("patch", "services")
        assert not may("patch", "services", "--subresource=status")
        assert not may("get", "services", "-n", "default")
        assert not may("get", "nodes")
        lab.kubectl("--kubeconfig", str(file), "create", "service", "loadbalancer", "web", "--tcp=80")
        assert lab.hosts.get("service", "web", "-n", "team")["spec"]["type"] == "LoadBalancer"
    finally:
        text = file.read_text()
        assert "tenant team healed" in lab.must("heal", "cluster")
    assert not file.exists()
    kept = lab.folder / "kept.kubeconfig"
    kept.write_text(text)
    assert lab.hosts.kubectl("--kubeconfig", str(kept), "get", "services", "-n", "team").returncode != 0


def test_what_a_neighbour_can_not_do_is_one_sentence(lab: LabUnderTest) -> None:
    assert "not found" in lab.run("fault", "cluster", "servicelb", "default/none").stderr
    assert "NAMESPACE/NAME" in lab.run("fault", "cluster", "operator", "web").stderr
    assert "is no LoadBalancer Service" in lab.run("fault", "cluster", "operator", "default/kubernetes").stderr
    assert "tenant needs a namespace" in lab.run("fault", "cluster", "tenant").stderr
