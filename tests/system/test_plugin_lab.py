"""kubectl purelb in a lab whose allocator plans: why a Service doesn't answer, planned moves, what programs know."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubectl_purelb.__main__ import main
from purelb import names
from tests.system.agentlab import NODES, endpoint_slice, service
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(300)


def group(name: str, pool: str, *, subnet: str = "10.31.0.0/16", version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"purelb.io/{version}",
        "kind": "ServiceGroup",
        "metadata": {"name": name, "namespace": "purelb"},
        "spec": {"local": {"v4pool": {"subnet": subnet, "pool": pool}}, **spec},
    }


GROUPS = (
    group("wire", "10.31.188.64-10.31.188.126"),
    group("tiny", "10.31.188.140"),
    group("closed", "10.31.188.141", namespaces=["other"], enforceNamespaces=True),
    group("choosy", "10.31.188.142", nodeSelector={"matchLabels": {"rack": "none"}}),
    group("far", "10.77.0.1-10.77.0.9", subnet="10.77.0.0/16", version="v2"),
    group("mine", "10.31.188.1-10.31.188.2"),
)
CLASH = group("zzz-clash", "10.31.188.70-10.31.188.80")


class Plugin:
    """The plugin, run in this process, on a lab."""

    def __init__(self, lab: LabUnderTest, capsys: pytest.CaptureFixture[str]) -> None:
        self.lab = lab
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        """Its exit code and output."""
        self._capsys.readouterr()
        code = main([*words, "--kubeconfig", str(self.lab.folder / "kubeconfig")])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def document(self, *words: str) -> Any:
        _, output = self(*words, "-o", "json")
        return json.loads(output)

    def place(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.document("services") if one["name"] == name)
        return found


@pytest.fixture(scope="module")
def planned() -> Iterator[LabUnderTest]:
    with running_lab("--placement", "even", timeout=150) as lab:
        apply(lab, *GROUPS)
        yield lab


@pytest.fixture
def plugin(planned: LabUnderTest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Plugin:
    programs = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ.get('PATH', '')}")
    found = Plugin(planned, capsys)
    assert eventually(lambda: [one["standing"] for one in found.document("nodes")] == ["Serving"] * 3, seconds=60)
    return found


def apply(lab: LabUnderTest, *bodies: dict[str, Any]) -> None:
    if not bodies:
        return
    listed = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(listed))


@dataclass(frozen=True)
class Failure:
    """A way to fail, which is planted, and what is to be said of it."""

    told: str
    remedy: str
    group: str | None = "wire"
    endpoints: tuple[str, ...] = NODES
    annotations: dict[str, str] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    before: tuple[dict[str, Any], ...] = ()
    """What else is applied first."""
    after: Callable[[LabUnderTest], object] | None = None
    plant: Callable[[LabUnderTest], object] | None = None
    heal: Callable[[LabUnderTest], object] | None = None


def pinned(address: str, **more: str) -> dict[str, str]:
    return {names.ADDRESSES: address, **more}


def foreign_status(lab: LabUnderTest) -> None:
    patch = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "10.5.5.5"}]}}})
    lab.kubectl("patch", "service", "foreign", "--subresource=status", "--type=merge", "-p", patch)


FAILURES = {
    "internal": Failure("its type is NodePort", "kubectl patch", spec={"type": "NodePort"}),
    "class": Failure("its loadBalancerClass is x.io/y", "make it anew", spec={"loadBalancerClass": "x.io/y"}),
    "nogroup": Failure("there is no ServiceGroup nowhere", "purelb.io/service-group=NAME", group="nowhere"),
    "nodefault": Failure("there is no ServiceGroup default", "purelb.io/service-group=NAME", group=None),
    "refused": Failure("zzz-clash isn't served", "kubectl edit", group="zzz-clash", before=(CLASH,)),
    "full": Failure("ServiceGroup tiny is full", "add a range", group="tiny", before=(service("first", "tiny"),)),
    "closed": Failure("closed doesn't serve namespace default", "spec.namespaces", group="closed"),
    "outside": Failure("is in no ServiceGroup's pool", "add it to a pool", annotations=pinned("10.9.9.9")),
    "nonsense": Failure("invalid user-specified address", "mend the annotation", annotations=pinned("10.9.9.999")),
    "taken": Failure(
        "10.31.188.100",
        "the allocator tries again by itself",
        annotations=pinned("10.31.188.100"),
        before=(service("holder", "wire", annotations=pinned("10.31.188.100")),),
    ),
    "ports": Failure(
        "10.31.188.101",
        "the allocator tries again by itself",
        annotations=pinned("10.31.188.101", **{names.ALLOW_SHARED_IP: "key"}),
        before=(service("sharer", "wire", annotations=pinned("10.31.188.101", **{names.ALLOW_SHARED_IP: "key"})),),
    ),
    "nodes-own": Failure("address of node", "the allocator tries again", annotations=pinned("10.31.188.1")),
    "family": Failure("IPv6", "the allocator tries again", spec={"ipFamilies": ["IPv6"]}),
    "foreign": Failure("isn't PureLB's", "purelb.io/re-evaluate=true", group="nowhere", after=foreign_status),
    "choosy": Failure("chooses none of the nodes", "kubectl edit servicegroup choosy", group="choosy"),
    "far": Failure("no node that takes part has a NIC in the subnet", "kubectl purelb nodes", group="far"),
    "stranger": Failure(
        "Another host, 52:54:00",
        "find that host by its MAC",
        annotations=pinned("10.31.188.110"),
        plant=lambda lab: lab.must("fault", "wire", "answer", "10.31.188.110"),
        heal=lambda lab: lab.must("heal", "wire"),
    ),
    "empty": Failure("no endpoint of it is ready", "it has no selector", endpoints=()),
    "unready": Failure(
        "no endpoint of it is ready",
        "kubectl get pods -n default -l app=none",
        endpoints=(),
        spec={"selector": {"app": "none"}},
    ),
    "lonely": Failure(
        "10.31.188.111",
        "kubectl",
        annotations=pinned("10.31.188.111"),
        endpoints=(),
        spec={"externalTrafficPolicy": "Local"},
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_way_to_fail_is_named_with_the_way_out(plugin: Plugin, name: str) -> None:
    failure, lab = FAILURES[name], plugin.lab
    body = service(name, failure.group or "")
    if failure.group is None:
        del body["metadata"]["annotations"]["purelb.io/service-group"]
    body["metadata"]["annotations"] |= failure.annotations
    body["spec"] |= failure.spec
    if body["spec"]["type"] != "LoadBalancer":
        del body["spec"]["allocateLoadBalancerNodePorts"]
    apply(lab, *failure.before)
    if failure.plant is not None and failure.heal is not None:
        failure.plant(lab)
    try:
        apply(lab, body, endpoint_slice(name, *failure.endpoints))
        if failure.after is not None:
            failure.after(lab)

        def is_told() -> bool:
            code, output = plugin("inspect", name)
            crosses = [line for line in output.splitlines() if line.startswith("  ✗")]
            advice = [line for line in output.splitlines() if line.startswith("What to do: ")]
            return code == 1 and failure.told in "".join(crosses) and failure.remedy in "".join(advice)

        assert eventually(is_told, seconds=30), plugin("inspect", name)[1]
    finally:
        if failure.heal is not None:
            failure.heal(lab)


def test_there_are_twenty_of_them() -> None:
    assert len(FAILURES) >= 20


def test_an_address_is_moved_to_where_it_is_asked_for_and_the_plan_is_evened_out_again(plugin: Plugin) -> None:
    lab = plugin.lab
    apply(lab, *(service(f"even-{number}", "wire") for number in range(3)))
    for number in range(3):
        assert eventually(lambda number=number: plugin.place(f"even-{number}")["state"] == "Announced")  # type: ignore[misc]
    before = plugin.place("even-0")
    there = next(node for node in NODES if node != before["node"])

    code, output = plugin("move", "even-0", "--to", there, "--timeout", "1ms")
    assert (code, "Not yet." in output) == (1, True), "an allocator that has just begun to lead moves nothing"
    plugin("rebalance", "--timeout", "0s")
    code, output = plugin("move", "even-0", "--to", there)
    assert (code, "Done after" in output) == (0, True), output
    assert before["address"] in lab.hosts.output(there, "ip", "addr", "show", "dev", "eth0")
    assert before["address"] not in lab.hosts.output(before["node"], "ip", "addr", "show", "dev", "eth0")
    (moved,) = [one for one in plugin.document("events", "even-0") if one["what"] == "Moved"]
    assert (moved["from"], moved["to"]) == (before["node"], there)
    assert plugin("move", "even-0", "--anywhere")[0] == 0
    code, output = plugin("rebalance")
    assert (code, output.splitlines()[-1].endswith(": even")) == (0, True), output
    code, output = plugin("move", "even-0", "--to", "nobody")
    assert (code, output.startswith('kubectl purelb: "nobody" is none of the nodes')) == (2, True)


def test_programs_tell_what_they_know_and_why_they_did_what_they_did(plugin: Plugin, tmp_path: Path) -> None:
    apply(plugin.lab, service("told", "wire", annotations=pinned("10.31.188.120")))
    assert eventually(lambda: plugin.place("told")["state"] == "Announced")
    place = plugin.place("told")
    (link,) = json.loads(plugin.lab.hosts.output(place["node"], "ip", "-json", "link", "show", "dev", "eth0"))
    mac = eventually(lambda: plugin.document("vip", place["address"])[0]["mac"], seconds=60)
    assert mac == link["address"]

    (agent,) = plugin.document("state", place["node"]).values()
    (vip,) = [one for one in agent["vips"] if one["vip"] == place["address"]]
    assert (vip["owner"], vip["services"]) == (place["node"], ["default/told"])
    (decision,) = [one for one in agent["decisions"] if one["vip"] == place["address"]]
    assert (decision["what"], decision["why"].startswith("this node is its owner by the plan")) == ("place", True)
    assert {one["node"] for one in agent["members"]} == set(NODES)
    allocators = plugin.document("state", "allocator")
    (leader,) = [state for state in allocators.values() if state["program"][0]["leads"]]
    assert any(one["service"] == "default/told" for one in leader["services"])
    assert any("default/told" in str(one) for one in leader["decisions"])

    path = tmp_path / "bundle.tar.gz"
    made = plugin.document("support-bundle", "--file", str(path))
    assert made["missing"] == {}
    with tarfile.open(path) as archive:
        texts = {entry.name.partition("/")[2]: archive.extractfile(entry) for entry in archive}
        found = {name: file.read().decode() for name, file in texts.items() if file is not None}
    assert {"answers/status.json", "objects/services.json", "objects/memberships.json"} <= found.keys()
    assert sum(name.startswith("states/") for name in found) == sum(name.startswith("logs/") for name in found) == 5
    secret = plugin.lab.hosts.get("secret", "purelb-gossip", "-n", "purelb")["data"]["key"]
    assert secret not in "".join(found.values())
