"""What a program on a host of the lab prints while a test goes on, however much that is: a pipe that nobody reads holds
64 KiB, and a program that fills it stands still."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from lab.command.hosts import Hosts


@contextmanager
def recorded(hosts: Hosts, host: str, module: str, *arguments: str, end: signal.Signals) -> Iterator[list[str]]:
    """Run one of our own modules on a host meanwhile; the list holds what it printed, line by line, afterwards."""
    lines: list[str] = []
    with tempfile.TemporaryFile("w+") as output:
        process = hosts.spawn(host, module, *arguments, output=output)
        try:
            yield lines
        finally:
            process.send_signal(end)
            process.wait(timeout=10)
            output.seek(0)
            lines += output.read().splitlines()
