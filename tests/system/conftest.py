"""Real labs for the system tests: network namespaces, an API server, programs. They need root or user namespaces."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from kubedouble.envtest import assets
from lab.command.hosts import Hosts

T = TypeVar("T")

collect_ignore = [] if assets() is not None else ["test_lab_realapi.py"]
"""What only a real API server has, which no package installs: KUBEBUILDER_ASSETS names one."""


class LabUnderTest:
    """The `purelb-lab` command on one folder, as a user calls it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts = Hosts(folder)

    def run(self, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lab", *arguments[:1], "--dir", str(self.folder), *arguments[1:]]
        return subprocess.run(command, text=True, capture_output=True, check=False, timeout=timeout)

    def must(self, *arguments: str, timeout: float = 90) -> str:
        """Run a command that has to succeed, and give its output."""
        done = self.run(*arguments, timeout=timeout)
        assert done.returncode == 0, f"purelb-lab {' '.join(arguments)}: {done.stderr}\n{self.supervisor_log()}"
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl that has to succeed."""
        done = self.hosts.kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def supervisor_log(self) -> str:
        log = self.folder / "supervisor.log"
        return log.read_text() if log.exists() else ""

    def down(self) -> None:
        self.hosts.close()
        self.run("down")


@contextmanager
def running_lab(*options: str, timeout: float = 90) -> Iterator[LabUnderTest]:
    """A lab in a folder of its own, by these options of ``up``; it is ended too when it doesn't come up."""
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        lab = LabUnderTest(Path(folder))
        try:
            lab.must("up", *options, timeout=timeout)
            yield lab
        finally:
            lab.down()


def eventually(look: Callable[[], T], *, seconds: float = 15.0, every: float = 0.1) -> T:
    """The first true value that `look` gives; the last one, for the assertion to show, when the time is up."""
    deadline = time.monotonic() + seconds
    while not (value := look()) and time.monotonic() < deadline:
        time.sleep(every)
    return value


@pytest.fixture
def new_lab(tmp_path: Path) -> Iterator[Callable[[str], LabUnderTest]]:
    """Folders for labs of a test's own; what still runs in them is ended afterwards."""
    made: list[LabUnderTest] = []

    def make(name: str = "lab") -> LabUnderTest:
        made.append(LabUnderTest(tmp_path / name))
        return made[-1]

    yield make
    for lab in made:
        lab.down()
