"""One kernel as a process: booted, watched, ended; it leaves no process, no mount and no file behind.

Its processes are in a PID namespace of their own, whose first one it is: with that one all are gone, and that one goes
with this program, however it ends (PR_SET_PDEATHSIG). It mounts in itself, nothing here.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kernels.packages import Kernel
from kernels.results import Outcome, outcome

INIT: Final = Path(__file__).with_name("init.sh")
MEMORY: Final = "2G"
"""A lab of three nodes needs 0.6 GB."""

_GOING: Final = 30.0
"""Seconds that processes may take to go once they are killed."""


def command_line(kernel: Kernel, repository: Path, exchange: Path) -> list[str]:
    """The kernel and its parameters: the machine's file system as its root, our init, its console on our output."""
    return [
        *("setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child=KILL"),
        # Not itself the first process: that one would survive its own panic.
        *("sh", "-c", '"$@"; exit $?', "sh"),
        str(kernel.program),
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        *(f"mem={MEMORY}", "quiet", "con=null", "con0=fd:0,fd:1"),
        f"uml_dir={exchange / 'control'}",
        "init=/bin/sh",
        *(f"REPOSITORY={repository}", f"EXCHANGE={exchange}", f"MODULES={kernel.modules}"),
        *("--", str(INIT)),
    ]


def run_tests(
    kernel: Kernel, version: str, arguments: Sequence[str], repository: Path, log: Path, limit: float
) -> Outcome:
    """Boot, run pytest with these arguments, halt, all within ``limit`` seconds; what is said goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="purelb-kernel-") as folder, log.open("wb") as said:
        exchange = Path(folder)
        (exchange / "arguments").write_text("".join(f"{one}\n" for one in arguments))
        started, trouble = time.monotonic(), ""
        gone, held = os.pipe()  # every process holds the one end, so that the other tells when all have gone
        process = subprocess.Popen(
            command_line(kernel, repository, exchange),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(held,),
        )
        os.close(held)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            trouble = f"ended after {limit:.0f} s"
        finally:
            _end(process, gone)
        seconds = time.monotonic() - started
        report = _read(exchange / "report.xml")
        return outcome((_read(exchange / "release") or version).strip(), report, seconds, trouble)


def _end(process: subprocess.Popen[bytes], gone: int) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # unshare is in it, and takes its child along
    process.wait(_GOING)
    select.select([gone], [], [], _GOING)
    os.close(gone)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return None
