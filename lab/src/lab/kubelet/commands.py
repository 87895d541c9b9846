"""One command beside a container's program, its streams carried by a WebSocket: `kubectl exec`.

Owns the life of such a command: it ends with its client, with its container, with the lab, and at its limits. Who may
ask and which container it is the caller knows; what messages look like is `channels`'.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import WSMsgType, web

from lab.errors import LabError
from lab.kubelet.channels import Channel, Wish, ended, failed, message, read_message
from lab.machine.processes import Child, start_piped

_PIECE: Final = 32 * 1024
_LET_GO: Final = 1.0
"""Seconds: what the command started may have left its process group, and hold its pipes open."""
_KILLED: Final = 128 + 9


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a command may run, and how many bytes it may write."""

    seconds: float = 3600.0
    output: int = 256 * 1024 * 1024


class TooMuch(LabError):
    """A command wrote more than it may."""


async def carry(socket: web.WebSocketResponse, container: Child, wish: Wish, limits: Limits) -> None:
    """Run the command in the container's surroundings to its end, and tell that. Raises StartFailed."""
    program = container.program
    child = await start_piped(replace(program, argv=wish.command, name=f"{program.name} exec"))
    last = b""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_run(socket, child, wish, limits))
            gone = tasks.create_task(_listen(socket, child, wish))
            over = tasks.create_task(container.wait())
            await asyncio.wait((running, gone, over), return_when=asyncio.FIRST_COMPLETED)
            for task in (running, gone, over):
                task.cancel()
        if not running.cancelled():
            last = running.result()
        elif not over.cancelled():
            last = ended(_KILLED)
    except* ConnectionError:
        pass  # the client is gone: nobody is left to be told
    finally:
        child.kill()
        await _let_go(child)
    if last:
        await socket.send_bytes(last)


async def _let_go(child: Child) -> None:
    """Of its pipes, by which somebody may still have been sending."""
    process = child.process
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_LET_GO):
            for stream in (process.stdout, process.stderr):
                while stream is not None and await stream.read(_PIECE):
                    pass
            await child.wait()
            await process.stdin.wait_closed()


async def _run(socket: web.WebSocketResponse, child: Child, wish: Wish, limits: Limits) -> bytes:
    """Carry the output; returns the last message."""
    process, last = child.process, b""
    assert process.stdout is not None
    assert process.stderr is not None
    budget = _Budget(limits.output)
    try:
        async with asyncio.timeout(limits.seconds), asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(process.stdout, socket, Channel.STDOUT if wish.stdout else None, budget))
            tasks.create_task(_pump(process.stderr, socket, Channel.STDERR if wish.stderr else None, budget))
            last = ended(await child.wait())
    except* TooMuch:
        last = failed(f"the command wrote more than {limits.output} bytes, and was ended")
    except* TimeoutError:
        last = failed(f"the command ran longer than {limits.seconds:g} s, and was ended")
    return last


class _Budget:
    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooMuch


async def _pump(
    stream: asyncio.StreamReader, socket: web.WebSocketResponse, channel: Channel | None, budget: _Budget
) -> None:
    """A client that reads slowly holds the command up, so that nothing piles up here."""
    while piece := await stream.read(_PIECE):
        budget.spend(len(piece))
        if channel is not None:
            await socket.send_bytes(message(channel, piece))


async def _listen(socket: web.WebSocketResponse, child: Child, wish: Wish) -> None:
    """Hand on the client's input until it is gone."""
    stdin = child.process.stdin
    assert stdin is not None
    if not wish.stdin:
        stdin.close()
    async for received in socket:
        if received.type is not WSMsgType.BINARY:
            return
        try:
            given = read_message(received.data)
        except ValueError:
            return
        # A command that reads no more may still have something to say.
        with contextlib.suppress(ConnectionError, RuntimeError):
            if given.data and not stdin.is_closing():
                stdin.write(given.data)
                await stdin.drain()
            if given.is_last:
                stdin.close()
