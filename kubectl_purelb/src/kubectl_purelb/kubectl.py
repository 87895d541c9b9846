"""Runs kubectl for what goes over more than one request: a command in a container, its logs, a port-forward.

The plugin was started by it, so it is there, and it knows the ways (proxies, WebSockets, plugins for credentials).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from kubectl_purelb.arguments import Arguments
from purelb.errors import SettingsError


class KubectlError(SettingsError):
    """kubectl said no; the text is its own."""


def command_line(arguments: Arguments, *words: str) -> tuple[str, ...]:
    """The same cluster, as the same user. Raises SettingsError where there is no kubectl."""
    program = shutil.which("kubectl")
    if program is None:
        raise SettingsError("there is no kubectl on the PATH")
    flags = list[str]()
    if arguments.kubeconfig is not None:
        flags += ["--kubeconfig", str(Path(arguments.kubeconfig))]
    if arguments.context is not None:
        flags += ["--context", arguments.context]
    return program, *flags, *words


async def output_of(argv: Sequence[str], timeout: float) -> str:
    """What a command prints. Raises KubectlError where it fails, or takes longer than ``timeout`` seconds."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(timeout):
            output, errors = await process.communicate()
    except TimeoutError:
        raise KubectlError(f"kubectl did not end within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        told = errors.decode(errors="replace").strip().splitlines()
        raise KubectlError(told[-1] if told else f"kubectl ended with {process.returncode}")
    return output.decode(errors="replace")
