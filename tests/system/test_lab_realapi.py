"""What befalls a real API server really does: processes, objects and refusals show it. No program of ours runs here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.command.front import FRONT_FAULTS
from lab.wire.topology import API_PORT
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(180)

PROGRAM = ("--as=system:serviceaccount:purelb:allocator", "--as-group=system:masters")
"""As a program of PureLB's that may do everything."""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    """One bare lab for all tests of this module, each of which leaves it as it was."""
    with running_lab("--bare", "--control-plane", "envtest") as lab:
        yield lab


def servers(lab: LabUnderTest) -> set[str]:
    """Pids of this lab's kube-apiserver."""
    wanted = str(lab.folder).encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"/kube-apiserver\0" in command and wanted in command:
            found.add(process.name)
    return found


def version(lab: LabUnderTest, name: str) -> int:
    return int(lab.hosts.get("configmap", name)["metadata"]["resourceVersion"])


def names(lab: LabUnderTest) -> list[str]:
    return [one["metadata"]["name"] for one in lab.hosts.get("configmaps")["items"]]


def runs_pods(lab: LabUnderTest, name: str) -> bool:
    """Whether the lab's controllers and kubelets still do their work."""
    lab.kubectl("create", "deployment", name, "--image=echo")
    try:
        ready = eventually(lambda: lab.hosts.get("deployment", name)["status"].get("readyReplicas"), seconds=30)
        return bool(ready == 1)
    finally:
        lab.kubectl("delete", "deployment", name)


def test_a_restarted_server_is_another_process_with_the_same_objects(lab: LabUnderTest) -> None:
    lab.kubectl("create", "configmap", "kept")
    before = servers(lab)

    assert "was killed, and serves again" in lab.must("fault", "api", "restart")

    assert len(before) == 1
    assert len(servers(lab)) == 1
    assert servers(lab) != before
    assert "kept" in names(lab)
    assert runs_pods(lab, "after-restart")


def test_from_an_older_copy_of_etcd_objects_are_gone_and_resource_versions_go_back(lab: LabUnderTest) -> None:
    assert "no snapshot to go back to" in lab.run("fault", "api", "go-back").stderr
    lab.must("fault", "api", "remember")
    maps = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"forgotten-{one}"}} for one in range(100)]
    lab.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": maps}))
    last = version(lab, "forgotten-99")

    lab.must("fault", "api", "go-back")

    assert not [name for name in names(lab) if name.startswith("forgotten")]
    lab.kubectl("create", "configmap", "new")
    assert version(lab, "new") < last
    assert runs_pods(lab, "after-going-back")


def test_a_quota_refuses_what_is_new(lab: LabUnderTest) -> None:
    lab.must("fault", "api", "quota")
    try:
        refused = lab.hosts.kubectl("create", "configmap", "one-more", *PROGRAM)
        assert "exceeded quota: lab, requested: count/configmaps=1, used: count/configmaps=0" in refused.stderr
        assert "faults of the api: quota" in lab.must("status")
    finally:
        assert "quota healed" in lab.must("heal", "api")
    lab.kubectl("create", "configmap", "one-more", *PROGRAM)


def test_admission_denies_the_writes_of_our_programs_and_nobody_elses(lab: LabUnderTest) -> None:
    lab.kubectl("create", "service", "loadbalancer", "denied", "--tcp=80")
    write = ("patch", "service", "denied", "--subresource=status", "--type=merge", "-p")
    patch = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.80"}]}}})
    lab.must("fault", "api", "admission")
    try:
        refused = lab.hosts.kubectl(*write, patch, *PROGRAM)
        assert "ValidatingAdmissionPolicy 'lab' with binding 'lab' denied request: the lab refuses" in refused.stderr
        lab.kubectl("annotate", "service", "denied", "by=an-operator")
    finally:
        assert "admission healed" in lab.must("heal", "api")
    assert eventually(lambda: lab.hosts.kubectl(*write, patch, *PROGRAM).returncode == 0)


def test_what_a_real_server_can_not_be_told_is_one_sentence(lab: LabUnderTest) -> None:
    assert "takes no orders; there are: quota" in lab.run("fault", "api", "drop-watches").stderr


@pytest.mark.parametrize(
    ("kind", "codes"),
    [("slow", {28}), ("half-open", {28}), ("down", {35, 56}), ("reset", {35, 56})],  # curl(1): timed out; it was cut
)
def test_on_the_wire_answers_come_late_or_never_and_the_operator_sees_nothing_of_it(
    lab: LabUnderTest, kind: str, codes: set[int]
) -> None:
    def asked() -> int:
        url = f"https://10.31.254.10:{API_PORT}/livez"
        return lab.hosts.run("worker-188-11", ["curl", "-sk", "--max-time", "1", url]).returncode

    assert asked() == 0
    lab.must("fault", "api", kind)
    try:
        assert asked() in codes
        lab.kubectl("get", "nodes")
    finally:
        assert f"{kind} healed" in lab.must("heal", "api")
    assert eventually(lambda: asked() == 0)


AGENT = "purelb-lbnodeagent/test"
"""A user agent of PureLB's programs."""


@pytest.fixture
def token(lab: LabUnderTest) -> str:
    config = yaml.safe_load((lab.folder / "kubeconfig").read_text())
    return str(config["users"][0]["user"]["token"])


def ask(lab: LabUnderTest, token: str, path: str, *options: str, agent: str = AGENT) -> str:
    """What a node's curl gets of the API server, by a certificate that it trusts; its exit code at the end."""
    authority = lab.folder / "control-plane" / "ca.crt"
    url = f"https://10.31.254.10:{API_PORT}{path}"
    head = ("--cacert", str(authority), "-H", f"Authorization: Bearer {token}", "-A", agent, "-w", "%{http_code}")
    done = lab.hosts.run("worker-188-11", ["curl", "-sN", "--max-time", "3", *head, *options, url])
    return f"{done.stdout} {done.returncode}"


SERVICES = "/api/v1/namespaces/default/services"
WATCH = f"{SERVICES}?watch=1&resourceVersion=0"
HALF = '{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"ha'


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        ("html", SERVICES, "Please sign in.</body></html>200 0"),
        ("redirect", SERVICES, "302 0"),
        ("broken-line", WATCH, f'{HALF}\n{{"type":"BOOKMARK"'),
        ("cut-line", WATCH, f"{HALF}200 0"),
        ("expire-watches", WATCH, '"code":410'),
        ("hang", SERVICES, "000 28"),
    ],
    ids=lambda value: value if value in FRONT_FAULTS else "",
)
def test_a_proxy_before_it_does_so_to_our_programs_and_nobody_else(
    lab: LabUnderTest, token: str, kind: str, path: str, answer: str
) -> None:
    assert '"kind":"ServiceList"' in ask(lab, token, SERVICES)
    lab.must("fault", "api", kind)
    try:
        assert answer in ask(lab, token, path)
        assert '"name":"kubernetes"' in ask(lab, token, path, agent="kubectl/test")
        assert f"faults of the api: {kind}" in lab.must("status")
    finally:
        assert f"{kind} healed" in lab.must("heal", "api")
    assert '"kind":"ServiceList"' in ask(lab, token, SERVICES)


def test_a_read_only_server_answers_reads(lab: LabUnderTest, token: str) -> None:
    lab.must("fault", "api", "read-only")
    try:
        assert '"kind":"ServiceList"' in ask(lab, token, SERVICES)
        assert "the server is read-only" in ask(lab, token, SERVICES, "-X", "POST", "-d", "{}")
    finally:
        lab.must("heal", "api")
