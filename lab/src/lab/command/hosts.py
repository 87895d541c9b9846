"""Runs commands on a lab's hosts and against its API, from outside: what an operator at a shell would do.

Owns how a command gets into a host's network. Uses nsenter rather than setns, because a process with threads
may not enter the user namespace of a lab without root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path
from typing import IO, Any

from lab.command import control
from lab.command.kubectl import run_kubectl
from lab.errors import LabError
from lab.machine.processes import python_path
from lab.wire.router import run_vtysh

_COMMAND_SECONDS = 60


class Hosts:
    """The hosts of a running lab. Close it to let go of their namespaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fds: dict[str, tuple[int, ...]] = {}

    def close(self) -> None:
        for fds in self._fds.values():
            for fd in fds:
                os.close(fd)
        self._fds.clear()

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, host: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end and give its output."""
        prefix, fds = self._entrance(host)
        return subprocess.run(
            [*prefix, *command],
            pass_fds=fds,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_COMMAND_SECONDS,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
        )

    def output(self, host: str, *command: str) -> str:
        """What a command on a host prints. Raises LabError if it fails."""
        done = self.run(host, command)
        if done.returncode != 0:
            raise LabError(f"{' '.join(command)} on {host}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def spawn(
        self, host: str, module: str, *arguments: str, output: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start one of our own modules on a host, as `start` does."""
        return self.start(host, [sys.executable, "-m", module, *arguments], output=output, environment=python_path())

    def start(
        self,
        host: str,
        command: Sequence[str],
        *,
        output: int | IO[str] = subprocess.PIPE,
        errors: int | IO[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command on a host, with more in its environment; it is the caller's to end, and to read if its
        output goes to a pipe."""
        prefix, fds = self._entrance(host)
        whole = {**os.environ, **(environment or {})}
        return subprocess.Popen([*prefix, *command], pass_fds=fds, text=True, stdout=output, stderr=errors, env=whole)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run_kubectl(self.folder, arguments, stdin)

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, parsed. Raises LabError."""
        done = self.kubectl("get", *arguments, "-o", "json")
        if done.returncode != 0:
            raise LabError(f"kubectl get {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def vtysh(self, *commands: str) -> str:
        """What the router's FRR answers. Raises LabError."""
        return run_vtysh(self.folder, *commands)

    def addresses(self, host: str, link: str) -> set[IPv4Interface | IPv6Interface]:
        """The global addresses on a link of a host; none when there is no such link."""
        done = self.run(host, ["ip", "-json", "addr", "show", "dev", link, "scope", "global"])
        if done.returncode != 0:
            return set()
        infos = [info for one in json.loads(done.stdout) if one for info in one["addr_info"] if info]
        return {ip_interface(f"{info['local']}/{info['prefixlen']}") for info in infos}

    def _entrance(self, host: str) -> tuple[list[str], tuple[int, ...]]:
        if host not in self._fds:
            self._fds[host] = control.request(self.folder, "open", host=host).fds
        fds = self._fds[host]
        prefix = ["nsenter", f"--net=/proc/self/fd/{fds[0]}"]
        if len(fds) > 1:
            prefix += [f"--user=/proc/self/fd/{fds[1]}", "--preserve-credentials"]
        return [*prefix, "--"], fds
