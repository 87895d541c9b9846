"""What befalls a real API server really does: processes, objects and refusals show it. No program of ours runs here."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.wire.topology import API_PORT
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

PROGRAM = ("--as=system:serviceaccount:purelb:allocator", "--as-group=system:masters")
"""As a program of PureLB's that may do everything."""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    """One bare lab for all tests of this module, each of which leaves it as it was."""
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        lab = LabUnderTest(Path(folder))
        lab.must("up", "--bare", "--control-plane", "envtest")
        yield lab
        lab.down()


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


def processes_of(command: bytes) -> list[str]:
    """Pids of processes with exactly this command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes() == command:
                found.append(process.name)
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
    assert "takes no orders; there are: slow" in lab.run("fault", "api", "html").stderr


@pytest.mark.parametrize(
    ("kind", "codes"),
    [("slow", {28}), ("half-open", {28}), ("down", {35, 56})],  # curl(1): timed out; the connection was cut
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


def test_kubectl_shows_the_logs_of_a_program(lab: LabUnderTest) -> None:
    command = "print('first'); print('last', flush=True); import time; time.sleep(600)"
    container = {"name": "main", "image": "python", "command": ["python3", "-c", command]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "talking"}, "spec": {"containers": [container]}}
    lab.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    try:
        assert eventually(lambda: lab.hosts.kubectl("logs", "talking").stdout == "first\nlast\n", seconds=30)
        assert lab.kubectl("logs", "talking", "-c", "main", "--tail=1") == "last\n"
        assert "previous terminated container" in lab.hosts.kubectl("logs", "talking", "--previous").stderr
    finally:
        lab.kubectl("delete", "pod", "talking", "--grace-period=1")


@pytest.fixture
def sleeping(lab: LabUnderTest) -> Iterator[str]:
    """A pod of a program that the lab runs, `main`, and of one that it only plays."""
    main = {"name": "main", "image": "python", "command": ["python3", "-c", "import time; time.sleep(600)"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeping"}}
    pod["spec"] = {"containers": [main, {"name": "played", "image": "busybox"}]}
    lab.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    lab.kubectl("wait", "pod/sleeping", "--for=condition=Ready", "--timeout=30s")
    yield "sleeping"
    lab.kubectl("delete", "pod", "sleeping", "--grace-period=1", "--ignore-not-found")


def execute(lab: LabUnderTest, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return lab.hosts.kubectl("exec", "-i", "sleeping", *arguments, stdin=stdin)


def test_kubectl_runs_a_command_beside_a_program(lab: LabUnderTest, sleeping: str) -> None:
    done = execute(lab, "-c", "main", "--", "sh", "-c", "hostname; cat; echo wrong >&2; exit 7", stdin="typed")
    assert (done.returncode, done.stdout) == (7, f"{sleeping}\ntyped")
    assert done.stderr == "wrong\ncommand terminated with exit code 7\n"
    interfaces = execute(lab, "-c", "main", "--", "ip", "-br", "address").stdout
    assert lab.hosts.get("pod", sleeping)["status"]["podIP"] in interfaces


def test_what_has_no_program_is_refused_in_one_sentence(lab: LabUnderTest, sleeping: str) -> None:
    assert "an image that the lab only plays" in execute(lab, "-c", "played", "--", "true").stderr


def test_a_command_ends_with_its_pod(lab: LabUnderTest, sleeping: str) -> None:
    command = ["exec", sleeping, "-c", "main", "--", "sleep", "611"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(lab.hosts.kubectl, *command)
        assert eventually(lambda: processes_of(b"sleep\x00611\x00"), seconds=30)
        lab.kubectl("delete", "pod", sleeping, "--grace-period=1")
        assert running.result().returncode == 137
    assert eventually(lambda: not processes_of(b"sleep\x00611\x00"))


def test_kubelets_let_in_nobody_but_the_api_server(lab: LabUnderTest, sleeping: str) -> None:
    node = lab.hosts.get("pod", sleeping)["spec"]["nodeName"]
    port = lab.hosts.get("node", node)["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/containerLogs/default/{sleeping}/main")
        with pytest.raises(OSError, match=r"certificate required|closed connection|reset by peer"):
            connection.getresponse()
