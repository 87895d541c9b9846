"""A lab's pods are a cluster's: where and as what they run, how they come back, and how they are replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import LabUnderTest, eventually
from tests.system.standins import MASTER, WORKER11, WORKER12, agent_on, all_ready, curl, is_ready, pods, standins

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    with standins() as lab:
        yield lab


def test_each_program_runs_where_and_as_its_manifest_says(lab: LabUnderTest) -> None:
    agents = pods(lab, "agent")

    assert {pod["spec"]["nodeName"]: pod["status"]["podIP"] for pod in agents} == {
        MASTER: "10.31.188.1",
        WORKER11: "10.31.188.11",
        WORKER12: "10.31.188.12",
    }
    # It listens on $(HOST) in its node's network and sees what the manifest gave it.
    lab.hosts.output("client", "curl", "-sS", "http://10.31.188.11:7472/etc/hostname")
    (central,) = pods(lab, "central")
    assert central["status"]["podIP"].startswith("10.0.")
    lab.hosts.output("client", "curl", "-sS", f"http://{central['status']['podIP']}:8080/etc/hostname")
    assert f"central on {central['metadata']['name']}" in lab.must("logs", "purelb_central")


def _process_of(lab: LabUnderTest, pod: dict[str, Any]) -> Path:
    """The pod's process in /proc, found by its token's mount: only it has the pod's files."""
    uid = pod["metadata"]["uid"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if uid in (process / "mountinfo").read_text() and b"http.server" in (process / "cmdline").read_bytes():
                return process
        except OSError:
            continue
    raise AssertionError(f"no process of pod {pod['metadata']['name']}")


def test_a_program_has_its_environment_its_token_and_only_its_capabilities(lab: LabUnderTest) -> None:
    pod = agent_on(lab, WORKER11)
    process = _process_of(lab, pod)

    environment = dict(
        entry.split("=", 1) for entry in (process / "environ").read_bytes().decode().split("\0") if "=" in entry
    )
    assert environment["HOST"] == "10.31.188.11"
    assert environment["GREETING"] == "hello"
    assert "TOKEN" not in environment
    # Not by way of /var/run: that link would lead to the machine's own /run.
    folder = process / "root/run/secrets/kubernetes.io/serviceaccount"
    assert (folder / "namespace").read_text() == "purelb"
    assert "BEGIN CERTIFICATE" in (folder / "ca.crt").read_text()
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    capabilities = int(status["CapEff"], 16)
    assert capabilities & 1 << 12, "NET_ADMIN, which the manifest adds"
    assert not capabilities & 1 << 21, "SYS_ADMIN, which it does not"
    # The token works from the node, within what RBAC allows it.
    server = f"https://{environment['KUBERNETES_SERVICE_HOST']}:{environment['KUBERNETES_SERVICE_PORT']}"
    token, ca = (folder / "token").read_text(), lab.folder / "ca.crt"
    ca.write_text((folder / "ca.crt").read_text())

    def code(path: str) -> str:
        options = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(ca)]
        return lab.hosts.output(WORKER11, "curl", *options, "-H", f"Authorization: Bearer {token}", server + path)

    assert code("/api/v1/namespaces/purelb/pods") == "200"
    assert code("/api/v1/namespaces/purelb/secrets") == "403"


def test_a_deleted_pod_comes_back(lab: LabUnderTest) -> None:
    before = agent_on(lab, WORKER11)["metadata"]["uid"]

    lab.kubectl("delete", "pod", "-n", "purelb", agent_on(lab, WORKER11)["metadata"]["name"])

    assert eventually(lambda: all_ready(lab, "agent", 3))
    assert agent_on(lab, WORKER11)["metadata"]["uid"] != before


def test_a_crashed_program_comes_back_in_its_pod(lab: LabUnderTest) -> None:
    before = agent_on(lab, WORKER12)
    name = before["metadata"]["name"]
    restarts = before["status"]["containerStatuses"][0]["restartCount"]

    os.kill(int(_process_of(lab, before).name), signal.SIGSEGV)

    def came_back() -> bool:
        pod = agent_on(lab, WORKER12)
        status = pod["status"]["containerStatuses"][0]
        return pod["metadata"]["name"] == name and status["restartCount"] == restarts + 1 and is_ready(pod)

    assert eventually(came_back)
    last = agent_on(lab, WORKER12)["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 128 + signal.SIGSEGV


@pytest.mark.parametrize("workload", ["daemonset/agent", "deployment/central", "deployment/web"])
def test_rollout_restart_replaces_every_pod(lab: LabUnderTest, workload: str) -> None:
    app = workload.partition("/")[2]
    before = {pod["metadata"]["uid"] for pod in pods(lab, app)}

    lab.kubectl("rollout", "restart", workload, "-n", "purelb")
    told = lab.kubectl("rollout", "status", workload, "-n", "purelb", "--timeout=60s")

    assert "successfully rolled out" in told
    assert eventually(lambda: all_ready(lab, app, len(before)))
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in pods(lab, app))


def test_a_changed_template_reaches_the_programs(lab: LabUnderTest) -> None:
    lab.kubectl("set", "env", "daemonset/agent", "-n", "purelb", "EXTRA=yes")
    lab.kubectl("rollout", "status", "daemonset/agent", "-n", "purelb", "--timeout=60s")

    process = _process_of(lab, agent_on(lab, MASTER))
    assert b"EXTRA=yes" in (process / "environ").read_bytes().split(b"\0")


@pytest.mark.parametrize("workload", ["daemonset/agent", "deployment/central"])
def test_rollout_undo_brings_the_former_template_back(lab: LabUnderTest, workload: str) -> None:
    def environment() -> list[str]:
        found = lab.hosts.get(workload, "-n", "purelb")["spec"]["template"]["spec"]["containers"][0]
        return [one["name"] for one in found.get("env", ())]

    before = environment()
    lab.kubectl("set", "env", workload, "-n", "purelb", "WRONG=yes")
    lab.kubectl("rollout", "status", workload, "-n", "purelb", "--timeout=60s")
    assert "WRONG" in environment()

    lab.kubectl("rollout", "undo", workload, "-n", "purelb")
    lab.kubectl("rollout", "status", workload, "-n", "purelb", "--timeout=60s")

    assert environment() == before


def test_a_daemonset_on_delete_updates_a_pod_when_an_operator_deletes_it(lab: LabUnderTest) -> None:
    def strategy(**update: object) -> None:
        lab.kubectl("patch", "ds", "agent", "-n", "purelb", "-p", json.dumps({"spec": {"updateStrategy": update}}))

    def updated() -> int:
        status = lab.hosts.get("ds", "agent", "-n", "purelb")["status"]
        return int(status["updatedNumberScheduled"]) if status["numberReady"] == 3 else -1

    strategy(type="OnDelete", rollingUpdate=None)
    try:
        lab.kubectl("set", "env", "ds/agent", "-n", "purelb", "DELETED=yes")
        assert eventually(lambda: updated() == 0)
        lab.kubectl("delete", "pod", "-n", "purelb", agent_on(lab, WORKER12)["metadata"]["name"])
        assert eventually(lambda: updated() == 1)
    finally:
        strategy(type="RollingUpdate")
    assert eventually(lambda: updated() == 3)


def test_kubectl_gets_its_own_options_through_our_command(lab: LabUnderTest) -> None:
    assert WORKER11 in lab.must("kubectl", "get", "nodes", "-o", "name")
    # Also those that stand first.
    environment = {**os.environ, "PURELB_LAB_DIR": str(lab.folder)}
    command = [sys.executable, "-m", "lab", "kubectl", "-n", "purelb", "get", "ds", "-o", "name"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    assert done.stdout == "daemonset.apps/agent\n"


def test_kubectl_shows_the_logs_of_a_program(lab: LabUnderTest) -> None:
    (central,) = pods(lab, "central")

    assert "central on " in lab.kubectl("logs", "-n", "purelb", central["metadata"]["name"])


def test_pods_of_other_images_are_hosts_with_addresses_of_their_node(lab: LabUnderTest) -> None:
    found = pods(lab, "web")

    assert len(found) == 4
    assert all(is_ready(pod) for pod in found)
    networks = {WORKER11: "10.0.1.", WORKER12: "10.0.2."}
    assert all(pod["status"]["podIP"].startswith(networks[pod["spec"]["nodeName"]]) for pod in found)
    slices = lab.hosts.get("endpointslices", "-n", "purelb", "-l", "kubernetes.io/service-name=web")["items"]
    addresses = {address for one in slices for endpoint in one["endpoints"] for address in endpoint["addresses"]}
    assert addresses == {pod["status"]["podIP"] for pod in found}
    for pod in found:
        node, _, name = eventually(lambda pod=pod: curl(lab, "client", f"http://{pod['status']['podIP']}/")).split()  # type: ignore[misc]
        assert (node, name) == (pod["spec"]["nodeName"], pod["metadata"]["name"])


def test_scaling_a_deployment_scales_its_endpoints(lab: LabUnderTest) -> None:
    def endpoints() -> int:
        found = lab.hosts.get("endpointslices", "-n", "purelb", "-l", "kubernetes.io/service-name=web")["items"]
        return sum(len(one["endpoints"] or ()) for one in found)

    lab.kubectl("scale", "deployment/web", "-n", "purelb", "--replicas=1")
    assert eventually(lambda: len(pods(lab, "web")) == 1 and endpoints() == 1)
    lab.kubectl("scale", "deployment/web", "-n", "purelb", "--replicas=4")
    assert eventually(lambda: all_ready(lab, "web", 4) and endpoints() == 4)


def test_a_deleted_deployment_takes_its_pods_along(lab: LabUnderTest) -> None:
    web = lab.hosts.get("deployment", "web", "-n", "purelb")
    labels = {"app": "gone"}
    web["metadata"] = {"name": "gone", "namespace": "purelb"}
    web["spec"].update(replicas=2, selector={"matchLabels": labels})
    web["spec"]["template"]["metadata"] = {"labels": labels}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(web))
    assert eventually(lambda: all_ready(lab, "gone", 2))

    lab.kubectl("delete", "deployment", "gone", "-n", "purelb")

    assert eventually(lambda: not pods(lab, "gone"))
    assert not lab.hosts.get("replicasets", "-n", "purelb", "-l", "app=gone")["items"]
