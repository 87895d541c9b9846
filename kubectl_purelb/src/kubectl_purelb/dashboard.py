"""``dashboard``: the allocator's status page (docs/status-page.md) in a browser, through kubectl's port-forward."""

from __future__ import annotations

import asyncio
import re
import webbrowser
from collections.abc import Callable
from typing import Final

from kubectl_purelb.answers import Answer
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.cluster import ALLOCATOR, Cluster
from kubectl_purelb.kubectl import KubectlError, command_line
from purelb.errors import SettingsError

PORT: Final = "PURELB_PAGE_PORT"
"""In the allocator's environment; ``off`` is as good as nothing."""
USUAL: Final = 7474
PATIENCE: Final = 30.0
"""Seconds for the port-forward to stand."""
KEPT: Final = 4096
"""Bytes of what kubectl says: it may say something for days."""
_STANDS: Final = re.compile(r"Forwarding from (127\.0\.0\.1:\d+|\[::1\]:\d+)")
"""What kubectl then says."""


def page_port(cluster: Cluster) -> int:
    """Where the allocator's pods have the page. Raises SettingsError where it is off."""
    program = cluster.programs.get(ALLOCATOR)
    if program is None:
        raise SettingsError(f"there is no allocator in namespace {cluster.namespace}")
    said = program.settings.get(PORT, "")
    if said.isascii() and said.isdecimal() and 0 < int(said) < 65536:
        return int(said)
    raise SettingsError(
        "the status page is off: kubectl set env "
        f"-n {cluster.namespace} deployment/{ALLOCATOR} {PORT}={USUAL} turns it on (docs/status-page.md)"
    )


async def show_page(
    cluster: Cluster,
    arguments: Arguments,
    tell: Callable[[str], object],
    show: Callable[[str], object] = webbrowser.open,
) -> Answer:
    """Forward a port of this machine until interrupted, ``tell`` where it is, and ``show`` it.

    Raises SettingsError where the page is off, or the way to it can't be had, or ends.
    """
    ports = f"{arguments.port or ''}:{page_port(cluster)}"
    argv = command_line(arguments, "port-forward", "-n", cluster.namespace, f"deployment/{ALLOCATOR}", ports)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            url = await _url(process.stdout)
        if url is not None:
            tell(f"{url} shows what the allocator knows; Ctrl-C ends it")
            if not arguments.is_browserless:
                await asyncio.to_thread(show, url)
        # It says each connection: were that not read, it would stand still once the pipe is full.
        told, _ = await asyncio.gather(_end_of(process.stderr), _end_of(process.stdout))
        errors = told.strip().splitlines()
        raise KubectlError(errors[-1] if errors else "the port-forward ended")
    except TimeoutError:
        raise KubectlError(f"the port-forward did not stand within {PATIENCE:g} s") from None
    except asyncio.CancelledError:
        return Answer((), {})
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _url(lines: asyncio.StreamReader) -> str | None:
    """Where it stands; None: it has ended."""
    while line := await lines.readline():
        found = _STANDS.search(line.decode(errors="replace"))
        if found is not None:
            return f"http://{found[1]}/"
    return None


async def _end_of(pipe: asyncio.StreamReader) -> str:
    """The last of what is said there, once it has ended."""
    end = b""
    while data := await pipe.read(KEPT):
        end = (end + data)[-KEPT:]
    return end.decode(errors="replace")
