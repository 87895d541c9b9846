"""`kubectl logs` and `kubectl exec` find a pod's program, and a terminal, on both kinds of API server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import pty
import ssl
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubedouble.envtest import VARIABLE
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["embedded", *(["envtest"] if os.environ.get(VARIABLE) else [])])
def lab(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    """One bare lab for all tests of this module, each of which leaves it as it was."""
    with running_lab("--bare", "--control-plane", request.param) as lab:
        yield lab


def processes_of(command: bytes) -> list[str]:
    """Pids of processes with exactly this command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes() == command:
                found.append(process.name)
    return found


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


def on_terminal(lab: LabUnderTest, typed: bytes, *arguments: str) -> tuple[int, bytes]:
    """The exit code of kubectl on a terminal of 17 lines and 91 columns, and what is to be read there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 17, 91, 0, 0))
    command = [sys.executable, "-m", "lab", "kubectl", "--dir", str(lab.folder), *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        os.write(ours, typed)
        read = b""
        with contextlib.suppress(OSError):  # EIO: all who had it have ended
            while piece := os.read(ours, 4096):
                read += piece
        os.close(ours)
        return process.wait(timeout=60), read


def test_a_command_has_a_terminal_as_large_as_the_users(lab: LabUnderTest, sleeping: str) -> None:
    script = 'until test "$(stty size)" = "17 91"; do sleep 0.1; done; read word; tty; echo $TERM $word; exit 4'

    code, read = on_terminal(lab, b"hello\n", "exec", "-it", sleeping, "-c", "main", "--", "sh", "-c", script)

    assert b"/dev/pts/" in read
    assert b"xterm hello\r\n" in read
    assert code == 4


def test_who_may_not_create_pods_exec_may_not_exec(lab: LabUnderTest, sleeping: str) -> None:
    refused = lab.hosts.kubectl("exec", sleeping, "-c", "main", "--as=nobody", "--", "true")

    assert refused.returncode != 0
    assert 'User "nobody" cannot' in refused.stderr
    assert 'resource "pods' in refused.stderr


def test_who_may_only_get_pods_exec_may_not_exec(lab: LabUnderTest, sleeping: str) -> None:
    lab.kubectl("create", "role", "gets", "--verb=get", "--resource=pods,pods/exec")
    lab.kubectl("create", "rolebinding", "gets", "--role=gets", "--user=somebody")
    try:
        refused = lab.hosts.kubectl("exec", sleeping, "-c", "main", "--as=somebody", "--", "true")
        assert 'User "somebody" cannot create resource "pods/exec"' in refused.stderr
    finally:
        lab.kubectl("delete", "rolebinding,role", "gets")
