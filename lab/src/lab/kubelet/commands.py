"""One command beside a container's program, its streams carried by a WebSocket: `kubectl exec`.

Owns the life of such a command: it ends with its client, with its container, with the lab, and at its limits. Who may
ask and which container it is the caller knows; what messages look like is `channels`'.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Final, Protocol

from aiohttp import WSMsgType, web

from lab.errors import LabError
from lab.kubelet.channels import Channel, Input, Resize, Wish, ended, failed, message, read_message
from lab.kubelet.terminal import Terminal
from lab.machine.processes import Child, start_piped

_PIECE: Final = 32 * 1024
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
    program = replace(container.program, argv=wish.command, name=f"{container.program.name} exec")
    terminal = Terminal() if wish.tty else None
    try:
        if terminal is None:
            child = await start_piped(program)
        else:
            environment = {"TERM": "xterm", **program.environment}  # as kubelets have it
            child = await start_piped(replace(program, environment=environment), terminal.theirs)
            terminal.started()
        await _carry(socket, child, terminal, container, wish, limits)
    finally:
        if terminal is not None:
            terminal.close()


async def _carry(
    socket: web.WebSocketResponse,
    child: Child,
    terminal: Terminal | None,
    container: Child,
    wish: Wish,
    limits: Limits,
) -> None:
    last = b""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_run(socket, child, terminal, wish, limits))
            gone = tasks.create_task(_listen(socket, child, terminal, wish))
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
        child.let_go()
        await child.wait()
    if last:
        await socket.send_bytes(last)


async def _run(
    socket: web.WebSocketResponse, child: Child, terminal: Terminal | None, wish: Wish, limits: Limits
) -> bytes:
    """Carry the output; returns the last message."""
    process, last = child.process, b""
    budget = _Budget(limits.output)
    streams: list[tuple[_Readable | None, Channel | None]] = [(terminal, Channel.STDOUT)]
    if terminal is None:
        streams = [
            (process.stdout, Channel.STDOUT if wish.stdout else None),
            (process.stderr, Channel.STDERR if wish.stderr else None),
        ]
    try:
        async with asyncio.timeout(limits.seconds), asyncio.TaskGroup() as tasks:
            for stream, channel in streams:
                assert stream is not None
                tasks.create_task(_pump(stream, socket, channel, budget))
            last = ended(await child.wait())
    except* TooMuch:
        last = failed(f"the command wrote more than {limits.output} bytes, and was ended")
    except* TimeoutError:
        last = failed(f"the command ran longer than {limits.seconds:g} s, and was ended")
    return last


class _Readable(Protocol):
    async def read(self, size: int, /) -> bytes: ...


class _Budget:
    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooMuch


async def _pump(stream: _Readable, socket: web.WebSocketResponse, channel: Channel | None, budget: _Budget) -> None:
    """A client that reads slowly holds the command up, so that nothing piles up here."""
    while piece := await stream.read(_PIECE):
        budget.spend(len(piece))
        if channel is not None:
            await socket.send_bytes(message(channel, piece))


async def _listen(socket: web.WebSocketResponse, child: Child, terminal: Terminal | None, wish: Wish) -> None:
    """Hand on the client's input until it is gone."""
    stdin = child.process.stdin
    if stdin is not None and not wish.stdin:
        stdin.close()
    async for received in socket:
        if received.type is not WSMsgType.BINARY:
            return
        try:
            given = read_message(received.data)
        except ValueError:
            return
        # A command that reads no more may still have something to say.
        with contextlib.suppress(OSError, RuntimeError):
            match given:
                case Resize(columns, rows):
                    if terminal is not None:
                        terminal.resize(columns, rows)
                case Input(data, is_last):
                    if terminal is not None:
                        await terminal.write(data)
                    elif stdin is not None:
                        await _write(stdin, data, is_last=is_last)


async def _write(stdin: asyncio.StreamWriter, data: bytes, *, is_last: bool) -> None:
    if data and not stdin.is_closing():
        stdin.write(data)
        await stdin.drain()
    if is_last:
        stdin.close()
