"""A lab is a cluster: its wire, its pods, its faults, and that nothing of it is left behind.

The programs in it are stand-ins (standin.yaml); PureLB itself is the walkthrough's business.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.command import control
from lab.machine.processes import REPOSITORY
from lab.settings import FAULTS_FILE
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

STANDIN = Path(__file__).parent / "standin.yaml"
MASTER = "tiny-cilium-master-188-1.k8s.tcinternal"
WORKER11 = "tiny-cilium-worker-188-11.k8s.tcinternal"
WORKER12 = "tiny-cilium-worker-188-12.k8s.tcinternal"
UNREACHABLE = "node.kubernetes.io/unreachable"

NewLab = Callable[[str], LabUnderTest]


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    """One lab with the stand-ins for all tests of this module, each of which leaves it as it was."""
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        lab = LabUnderTest(Path(folder))
        lab.must("up", "--manifest", str(STANDIN), "--node-grace", "3")
        yield lab
        lab.down()


def pods(lab: LabUnderTest, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.hosts.get("pods", "-n", "purelb", "-l", f"app={app}")["items"]
    return found


def agent_on(lab: LabUnderTest, node: str) -> dict[str, Any]:
    return next(pod for pod in pods(lab, "agent") if pod["spec"].get("nodeName") == node)


def is_ready(obj: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in obj["status"].get("conditions", ()))


def all_ready(lab: LabUnderTest, app: str, count: int) -> bool:
    found = pods(lab, app)
    return len(found) == count and all(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in found)


def curl(lab: LabUnderTest, host: str, url: str) -> str:
    return lab.hosts.run(host, ["curl", "-sS", "--max-time", "2", url]).stdout


def reaches(lab: LabUnderTest, address: str) -> bool:
    """Whether the client reaches that address."""
    return lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", address]).returncode == 0


# --- the wire ---


def test_nodes_have_the_articles_names_and_addresses(lab: LabUnderTest) -> None:
    found = lab.hosts.get("nodes")["items"]

    internal = {
        node["metadata"]["name"]: [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
        for node in found
    }
    assert internal == {
        MASTER: ["10.31.188.1", "fd00:10:31::188:1"],
        WORKER11: ["10.31.188.11", "fd00:10:31::188:11"],
        WORKER12: ["10.31.188.12", "fd00:10:31::188:12"],
    }
    assert all(is_ready(node) for node in found)
    shown = lab.must("exec", "worker-188-11", "--", "ip", "addr", "show", "eth0")
    assert "52:54:00:3c:88:cb" in shown
    assert "inet 10.31.188.11/16 brd 10.31.255.255" in shown


def test_every_node_has_a_default_route_of_both_families(lab: LabUnderTest) -> None:
    for node in ("master", "worker-188-11", "worker-188-12"):
        assert "default via 10.31.254.251 dev eth0" in lab.hosts.output(node, "ip", "route")
        assert "default via fd00:10:31::254:251 dev eth0" in lab.hosts.output(node, "ip", "-6", "route")


@pytest.mark.parametrize("vip", ["10.189.7.7", "fd00:10:189::7:7"])
def test_the_router_spreads_routed_addresses_over_the_workers(lab: LabUnderTest, vip: str) -> None:
    url = f"http://[{vip}]/" if ":" in vip else f"http://{vip}/"
    status = {"status": {"loadBalancer": {"ingress": [{"ip": vip}]}}}
    patch = ("patch", "service", "routed", "-n", "purelb", "--subresource=status", "--type=merge", "-p")
    lab.kubectl(*patch, json.dumps(status))
    try:
        workers = {"[fd00:10:31::188:11]", "[fd00:10:31::188:12]"} if ":" in vip else {"10.31.188.11", "10.31.188.12"}

        def takers() -> set[str]:
            """The pods see the node that took the request: it has no other way back. Each worker hears by itself."""
            answers = (curl(lab, "client", url) for _ in range(30))
            return {answer.split(" ")[1].rpartition(":")[0] for answer in answers if answer}

        assert eventually(lambda: takers() == workers, seconds=40)
    finally:
        lab.kubectl(*patch, '{"status": {"loadBalancer": null}}')


def test_nodes_answer_arp_for_their_own_interface_only(lab: LabUnderTest) -> None:
    """What strictARP sees to: a VIP on another link of the node is not told to the wire."""
    lab.hosts.output("worker-188-11", "ip", "addr", "add", "10.31.188.78/32", "dev", "lo")
    try:
        done = lab.hosts.run("client", ["ping", "-c", "1", "-W", "1", "10.31.188.78"])
        assert done.returncode != 0
    finally:
        lab.hosts.output("worker-188-11", "ip", "addr", "del", "10.31.188.78/32", "dev", "lo")


# --- pods ---


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


# --- faults ---


def _node(lab: LabUnderTest, name: str) -> dict[str, Any]:
    node: dict[str, Any] = lab.hosts.get("node", name)
    return node


def test_a_node_without_power_is_gone_and_comes_back(lab: LabUnderTest) -> None:
    lab.must("fault", "worker-188-12", "power")
    try:
        assert lab.hosts.run("client", ["ping", "-c", "1", "-W", "1", "10.31.188.12"]).returncode != 0
        assert eventually(lambda: not is_ready(_node(lab, WORKER12)))
        assert eventually(lambda: UNREACHABLE in {one["key"] for one in _node(lab, WORKER12)["spec"].get("taints", ())})
        assert not is_ready(agent_on(lab, WORKER12))
        assert "power" in lab.must("status")
    finally:
        assert "power healed" in lab.must("heal", "worker-188-12")
    assert eventually(
        lambda: lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", "10.31.188.12"]).returncode == 0
    )  # neighbours may remember it as gone for a moment
    assert eventually(lambda: is_ready(_node(lab, WORKER12)) and not _node(lab, WORKER12)["spec"].get("taints"))
    assert eventually(lambda: all_ready(lab, "agent", 3))


@pytest.mark.parametrize("kind", ["agent-kill", "agent-stop"])
def test_an_agent_that_a_fault_ended_stays_away_until_healed(lab: LabUnderTest, kind: str) -> None:
    other = agent_on(lab, WORKER12)["status"]["containerStatuses"][0]["restartCount"]
    lab.must("fault", "worker-188-11", kind)
    try:
        assert eventually(lambda: not is_ready(agent_on(lab, WORKER11)))
        assert "CrashLoopBackOff" in str(eventually(lambda: agent_on(lab, WORKER11)["status"]["containerStatuses"]))
        assert agent_on(lab, WORKER12)["status"]["containerStatuses"][0]["restartCount"] == other
    finally:
        lab.must("heal", "worker-188-11")
    assert eventually(lambda: is_ready(agent_on(lab, WORKER11)))


def test_a_partitioned_node_reaches_the_client_but_no_node(lab: LabUnderTest) -> None:
    def reaches(host: str, address: str) -> bool:
        return lab.hosts.run(host, ["ping", "-c", "1", "-W", "1", address]).returncode == 0

    lab.must("fault", "worker-188-11", "partition")
    try:
        assert reaches("client", "10.31.188.11")
        assert not reaches("worker-188-12", "10.31.188.11")
        assert reaches("worker-188-12", "10.31.188.1")
        assert is_ready(_node(lab, WORKER11))
    finally:
        lab.must("heal", "worker-188-11")
    # A neighbour that didn't answer is asked again once a second.
    assert eventually(lambda: reaches("worker-188-12", "10.31.188.11"))


def test_drain_moves_pods_and_leaves_the_agent(lab: LabUnderTest) -> None:
    lab.must("fault", "worker-188-12", "drain")
    try:
        assert _node(lab, WORKER12)["spec"]["unschedulable"]
        assert eventually(lambda: all_ready(lab, "web", 4))
        assert {pod["spec"]["nodeName"] for pod in pods(lab, "web")} == {WORKER11}
        assert is_ready(agent_on(lab, WORKER12))
    finally:
        lab.must("heal", "worker-188-12")
    assert not _node(lab, WORKER12)["spec"].get("unschedulable")


def test_a_noexecute_taint_drives_pods_away_until_it_is_gone(lab: LabUnderTest) -> None:
    lab.kubectl("taint", "node", WORKER11, "maintenance=now:NoExecute")
    try:
        assert eventually(lambda: WORKER11 not in {pod["spec"].get("nodeName") for pod in pods(lab, "agent")})
        assert eventually(lambda: WORKER11 not in {pod["spec"].get("nodeName") for pod in pods(lab, "web")})
    finally:
        lab.kubectl("taint", "node", WORKER11, "maintenance=now:NoExecute-")
    assert eventually(lambda: all_ready(lab, "agent", 3) and all_ready(lab, "web", 4))


def test_the_lab_outlives_an_api_server_that_is_down(lab: LabUnderTest) -> None:
    url = (lab.folder / FAULTS_FILE).read_text().strip() + "/faults"
    request = urllib.request.Request(url, data=b'{"kind": "down"}', method="POST")
    with urllib.request.urlopen(request):
        assert lab.hosts.kubectl("get", "nodes", "--request-timeout=1s").returncode != 0
        assert reaches(lab, "10.31.188.11")
        time.sleep(2)  # long enough that every heartbeat, watch and status write meets the fault
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")):
        pass

    lab.kubectl("delete", "pod", "-n", "purelb", agent_on(lab, WORKER11)["metadata"]["name"])
    assert eventually(lambda: all_ready(lab, "agent", 3))
    assert eventually(lambda: all(is_ready(node) for node in lab.hosts.get("nodes")["items"]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fault", "client", "power"), "tiny-centos7-100-2 is no node"),
        (("fault", "worker-99", "power"), "no host 'worker-99'"),
        (("fault", "worker-188-11", "flood"), "no fault 'flood' of a node; there are: power"),
        (("fault", "api", "flood"), "no fault 'flood' of the API server; there are: a code (429), read-only"),
        (("fault", "api", "restart", "--verb", "list"), "restart befalls the API server as a whole"),
        (("exec", "worker-188-11", "--", "no-such-program"), "no-such-program: No such file or directory"),
        (("logs", "no-such-program"), "no log of 'no-such-program'"),
        (("up", "--bare"), "a lab runs in"),
        (("vtysh", "-c", "show version"), "has no FRR: start it with --ecmp"),
        (("birdc", "worker-188-11"), "no BIRD runs on tiny-cilium-worker-188-11.k8s.tcinternal"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(lab: LabUnderTest, arguments: tuple[str, ...], sentence: str) -> None:
    done = lab.run(*arguments)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


# --- labs come and go ---


def _processes_in(folder: Path) -> list[str]:
    """Command lines of processes that this lab started: they log, or have their settings, below its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = {str(fd.readlink()) for fd in (process / "fd").iterdir()}
            if any(str(folder) in name for name in opened):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_two_labs_live_side_by_side(lab: LabUnderTest, new_lab: NewLab) -> None:
    other = new_lab("other")
    other.must("up", "--bare", "--nodes", "1")

    assert reaches(other, "10.31.188.1")
    assert reaches(lab, "10.31.188.1")
    assert len(other.hosts.get("nodes")["items"]) == 1
    assert len(lab.hosts.get("nodes")["items"]) == 3
    other.must("down")
    assert reaches(lab, "10.31.188.1")


def test_down_leaves_nothing_and_up_works_again(new_lab: NewLab) -> None:
    lab = new_lab("lab")
    links = Path("/sys/class/net")
    before = {link.name for link in links.iterdir()}

    for _ in range(2):
        lab.must("up", "--manifest", str(STANDIN), "--nodes", "2")
        assert any("http.server" in line for line in _processes_in(lab.folder))
        assert {link.name for link in links.iterdir()} == before, "the root namespace stays as it was"
        lab.hosts.close()
        lab.must("down")
        assert _processes_in(lab.folder) == []
        assert not (lab.folder / "kubeconfig").exists()
    assert "no lab runs" in lab.must("down")


def test_a_killed_supervisor_takes_everything_along(new_lab: NewLab) -> None:
    lab = new_lab("lab")
    lab.must("up", "--manifest", str(STANDIN), "--nodes", "2")
    with control.connect(lab.folder) as connection:
        pid = control.supervisor_pid(connection)

    os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: not _processes_in(lab.folder))
    assert "no lab runs" in lab.run("status").stderr
    lab.must("up", "--bare", "--nodes", "1")
    assert reaches(lab, "10.31.188.1")


def _interpreter(user: pwd.struct_passwd) -> tuple[str, dict[str, str]] | None:
    """A Python that this user may run with what the project needs: ours, or the system's of the same version."""
    installed = [path for path in sys.path if path.endswith("site-packages")]
    sources = [str(REPOSITORY / folder) for folder in (".", "kubedouble/src", "lab/src", "memberlist/src")]
    packages = ":".join([*installed, *sources])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}"):
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": packages}
        try:
            if _as_user(user, environment, program, "-c", "import lab.command.supervisor").returncode == 0:
                return program, environment
        except OSError:
            continue
    return None


def _as_user(user: pwd.struct_passwd, environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        env=environment,
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
        check=False,
        timeout=90,
    )


def test_a_user_who_is_not_root_has_a_lab_too() -> None:
    if os.geteuid() != 0:
        pytest.skip("all other tests run without root already")
    nobody = pwd.getpwnam("nobody")
    if _as_user(nobody, dict(os.environ), "unshare", "--user", "--map-root-user", "true").returncode != 0:
        pytest.skip("this kernel gives user namespaces to root alone")
    found = _interpreter(nobody)
    if found is None:
        pytest.skip("another user can't run the project from here")
    python, environment = found
    folder = Path(tempfile.mkdtemp(prefix="purelb-lab-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = ("-m", "lab", arguments[0], "--dir", str(folder), *arguments[1:])
        return _as_user(nobody, environment, python, *line)

    try:
        started = run("up", "--manifest", str(STANDIN), "--nodes", "2")
        assert started.returncode == 0, started.stderr
        assert "10.31.188.11/16" in run("exec", "worker-188-11", "--", "ip", "addr", "show", "eth0").stdout
        assert run("exec", "client", "--", "ping", "-c", "1", "-W", "2", "10.31.188.11").returncode == 0
        assert WORKER11 in run("kubectl", "get", "nodes").stdout
        assert run("fault", "worker-188-11", "power").returncode == 0
        assert run("exec", "client", "--", "ping", "-c", "1", "-W", "1", "10.31.188.11").returncode != 0
    finally:
        run("down")
        shutil.rmtree(folder)


def test_where_the_kernel_gives_no_namespaces_one_line_says_so(new_lab: NewLab) -> None:
    """A filter stands for such a kernel: no process below it may make a namespace."""
    limits = "/proc/sys/user/max_pid_namespaces"
    if os.geteuid() != 0:
        pytest.skip("only root can take namespaces away")
    inner = f"echo 0 > {limits} && exec {sys.executable} -m lab up --bare --dir {new_lab('lab').folder}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", inner], text=True, capture_output=True, check=False
    )

    assert done.returncode == 1
    assert "run it with sudo" in done.stderr
    assert done.stderr.count("\n") == 1


def test_where_the_root_is_no_mount_point_one_line_says_so(new_lab: NewLab, tmp_path: Path) -> None:
    """As in a chroot: no namespace can keep its mounts to itself there."""
    if os.geteuid() != 0:
        pytest.skip("only root can change the root")
    root = tmp_path / "root"
    parts = [path for path in Path("/").iterdir() if path.is_dir()]
    inner = f"mkdir {root}; " + "; ".join(
        f"cp -a {path} {root}" if path.is_symlink() else f"mkdir {root}{path} && mount --rbind {path} {root}{path}"
        for path in parts
    )
    inner += f"; exec chroot {root} {sys.executable} -m lab up --bare --dir {new_lab('lab').folder}"

    done = subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", inner], text=True, capture_output=True, check=False
    )

    assert done.returncode == 1
    assert "/ is no mount point" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
