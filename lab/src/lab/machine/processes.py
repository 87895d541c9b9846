"""Children of the supervisor: start in a namespace, log to a file or speak through pipes, stop.

Owns how a program is started; must not know why. A child dies with the supervisor in any case: it has a
parent-death signal, and the supervisor is the first process of its PID namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lab.errors import StartFailed

SOURCE = Path(__file__).resolve().parents[2]
"""The folder that the package `lab` lies in."""
REPOSITORY = SOURCE.parents[1]
"""The checkout: manifests, and modules of tests and benches that are no part of a distribution."""
_UNREAD = 64 * 1024
"""Bytes of a program's output that may wait here for its reader."""
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from lab.machine.launch import main; main()"
# What every program gets; pods get nothing else of the environment that the lab was started in.
BASE_ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONNODEBUGRANGES": "1",  # as our images have it
    "PYTHONUNBUFFERED": "1",
}


def python_path() -> dict[str, str]:
    """What a module of this repository needs to be found from wherever it is started."""
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *([inherited] if inherited else [])])}


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, where, and with what."""

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    netns: int | None = None  # file descriptor; None: the supervisor's own network
    hostname: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)  # path in the program's view -> folder
    capabilities: tuple[str, ...] | None = None  # None: all that the supervisor has
    container: Mapping[str, Any] | None = None  # an image to be in and rights to have there, for `sandbox`
    pass_fds: tuple[int, ...] = ()


class Child:
    """A running program. Made by `start`."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, transport: asyncio.SubprocessTransport
    ) -> None:
        self.program = program
        self._process = process
        self._transport = transport

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def process(self) -> asyncio.subprocess.Process:
        """With the pipes of one that `start_piped` made."""
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Exit code; of a program that a signal ended 128 + its number, as shells and kubelets say it."""
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    def signal(self, number: signal.Signals) -> None:
        """Signal the program itself, not what it started."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the program and all that it started (it leads its process group)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def let_go(self) -> None:
        """Close its pipes here, also where something that it started has left its process group, and holds them."""
        for number in (0, 1, 2):
            pipe = self._transport.get_pipe_transport(number)
            if isinstance(pipe, asyncio.WriteTransport):
                with contextlib.suppress(AttributeError):  # CPython 3.11 can't abort what has ended
                    pipe.abort()  # what waits to be sent would keep it open
            elif pipe is not None:
                pipe.close()

    async def stop(self, grace: float) -> int:
        """SIGTERM, and SIGKILL after `grace` seconds; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                return await self.wait()
        except TimeoutError:
            return await self.wait_killed()
        finally:
            self.kill()

    async def wait_killed(self) -> int:
        self.kill()
        return await self.wait()


async def start(program: Program) -> Child:
    """Start a program; its output is appended to its log. Raises StartFailed."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with program.log.open("ab") as log:
            return await _spawn(program, asyncio.subprocess.DEVNULL, log)
    except OSError as failure:
        raise StartFailed(f"{program.name} can't be started: {failure}") from failure


async def start_piped(program: Program, terminal: int | None = None) -> Child:
    """Start a program whose input and output are the caller's to serve; it has no log. Raises StartFailed.

    They are pipes, or a terminal, by its descriptor, which controls the program then.
    """
    streams = asyncio.subprocess.PIPE if terminal is None else terminal
    try:
        return await _spawn(program, streams, streams, has_terminal=terminal is not None)
    except OSError as failure:
        raise StartFailed(f"{program.name} can't be started: {failure}") from failure


async def _spawn(program: Program, stdin: int, output: int | IO[bytes], *, has_terminal: bool = False) -> Child:
    order = {
        "argv": list(program.argv),
        "netns": program.netns,
        "hostname": program.hostname,
        "mounts": dict(program.mounts),
        "capabilities": list(program.capabilities) if program.capabilities is not None else None,
        "container": program.container,
        "terminal": has_terminal,
    }
    fds = program.pass_fds if program.netns is None else (*program.pass_fds, program.netns)
    command = [sys.executable, "-I", "-S", "-c", _BOOT, str(SOURCE), json.dumps(order)]
    # As asyncio.create_subprocess_exec does it, which gives no hold of the pipes.
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_UNREAD, loop=loop),
        *command,
        stdin=stdin,
        stdout=output,
        stderr=output,
        env={**({} if program.container else BASE_ENVIRONMENT), **program.environment},
        pass_fds=fds,
        cwd="/",
        start_new_session=True,
    )
    return Child(program, asyncio.subprocess.Process(transport, protocol, loop), transport)


async def reap_orphans(interval: float = 1.0) -> None:
    """Collect what grandchildren left behind: orphans become children of the first process. Runs for ever.

    asyncio waits for our own children by pid; they are left to it unless they stay unwaited for a second look.
    """
    seen: int | None = None
    while True:
        await asyncio.sleep(interval)
        seen = _reap(seen)


def _reap(seen: int | None) -> int | None:
    """Wait for the zombie of the last look if it is still one; returns the pid of the first zombie now."""
    try:
        zombie = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if zombie is not None and zombie.si_pid == seen:
            os.waitpid(seen, os.WNOHANG)
    except ChildProcessError:
        return None
    return zombie.si_pid if zombie is not None else None
