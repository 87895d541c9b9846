"""Labs come and go: side by side, for whom and where they can be, and that nothing of one is left behind."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.command import control
from lab.machine.processes import REPOSITORY
from tests.system.conftest import LabUnderTest, eventually
from tests.system.standins import STANDIN, WORKER11, reaches

pytestmark = pytest.mark.timeout(180)

NewLab = Callable[[str], LabUnderTest]


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


def test_two_labs_live_side_by_side(new_lab: NewLab) -> None:
    lab, other = new_lab("one"), new_lab("other")
    lab.must("up", "--bare")
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
