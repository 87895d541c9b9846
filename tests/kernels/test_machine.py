"""A kernel is a process that ends in time and leaves nothing behind. Stand-ins take its place: shell scripts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from kernels.machine import INIT, command_line, run_tests
from kernels.packages import Kernel
from kernels.results import Outcome

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")


def running(script: str, folder: Path, *, limit: float = 30.0) -> Outcome:
    program = folder / "linux.uml"
    program.write_text(f'#!/bin/sh\nfor one; do case $one in EXCHANGE=*) eval "$one";; esac; done\n{script}\n')
    program.chmod(0o755)
    return run_tests(Kernel(program, folder), "5.10", ["-q", "tests"], folder, folder / "logs" / "5.10.log", limit)


def test_the_machines_file_system_is_the_root_and_read_only() -> None:
    line = command_line(Kernel(Path("/k/linux.uml"), Path("/k")), Path("/repository"), Path("/exchange"))

    assert "/k/linux.uml root=/dev/root rootfstype=hostfs rootflags=/ ro " in " ".join(line)
    assert line[-2:] == ["--", str(INIT)]


@needs_root
def test_what_it_leaves_in_the_exchange_is_its_outcome_and_the_exchange_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    script = 'cat "$EXCHANGE/arguments"; echo 5.10.46 >"$EXCHANGE/release"; echo "<a/>" >"$EXCHANGE/report.xml"'

    done = running(script, tmp_path)

    assert done.version == "5.10.46"
    assert not done.trouble
    assert (tmp_path / "logs" / "5.10.log").read_text() == "-q\ntests\n"
    assert list((tmp_path / "temporary").iterdir()) == []


@needs_root
def test_one_that_hangs_is_ended_with_all_of_its_processes(tmp_path: Path) -> None:
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    done = running(f'setsid sleep 1000 >"{pipe}" & sleep 1000', tmp_path, limit=1.0)

    os.close(held)
    assert done.trouble == "ended after 1 s"
    assert os.read(reader, 1) == b""  # nobody has its other end: also the one that left the session is gone
    os.close(reader)


@needs_root
def test_one_that_dies_leaves_a_line_all_the_same(tmp_path: Path) -> None:
    assert running("exit 1", tmp_path).line.startswith("5.10: passed 0, failed 0, skipped 0, 0 s (no report")
