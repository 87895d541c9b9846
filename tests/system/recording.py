"""What a program on a host of the lab prints while a test goes on, however much that is: a pipe that nobody reads holds
64 KiB, and a program that fills it stands still."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from lab.command.hosts import Hosts
from lab.machine.processes import python_path


def recorded(
    hosts: Hosts, host: str, module: str, *arguments: str, end: signal.Signals
) -> AbstractContextManager[list[str]]:
    """Run one of our own modules on a host meanwhile; the list holds what it printed, line by line, afterwards."""
    return recorded_command(hosts, host, [sys.executable, "-m", module, *arguments], end=end)


@contextmanager
def recorded_command(
    hosts: Hosts, host: str, command: Sequence[str], *, end: signal.Signals = signal.SIGTERM
) -> Iterator[list[str]]:
    """The same of any command."""
    lines: list[str] = []
    with tempfile.TemporaryFile("w+") as output:
        process = hosts.start(host, command, output=output, environment=python_path())
        try:
            yield lines
        finally:
            process.send_signal(end)
            process.wait(timeout=10)
            output.seek(0)
            lines += output.read().splitlines()
