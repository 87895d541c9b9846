"""A command beside a container's program, by a real WebSocket: it ends by itself, with others, and at its limits."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from lab.kubelet.channels import SUBPROTOCOL, Channel, Wish
from lab.kubelet.commands import Limits, carry
from lab.machine.processes import Child, Program, start


@dataclass(slots=True)
class Heard:
    """What a client got."""

    streams: dict[int, bytes] = field(default_factory=lambda: defaultdict(bytes))

    @property
    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.streams[Channel.ERROR])
        return told

    @property
    def code(self) -> int:
        return 0 if self.status["status"] == "Success" else int(self.status["details"]["causes"][0]["message"])


Meanwhile = Callable[[ClientWebSocketResponse, Child], Awaitable[None]]


async def nothing(socket: ClientWebSocketResponse, container: Child) -> None:
    """A client that only listens."""


def run(
    folder: Path,
    script: str,
    *,
    meanwhile: Meanwhile = nothing,
    stdin: bool = False,
    tty: bool = False,
    limits: Limits | None = None,
) -> Heard:
    """Run the shell script beside a program that sleeps; `meanwhile` is what the client does first."""
    wish = Wish(("sh", "-c", script), stdin, stdout=True, stderr=not tty, tty=tty)

    async def whole() -> Heard:
        container = await start(Program("test", ("sleep", "60"), folder / "log", {"MARK": "of the container"}))
        carried = asyncio.Event()

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
            await socket.prepare(request)
            await carry(socket, container, wish, limits or Limits())
            carried.set()
            await socket.close()
            return socket

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        heard = Heard()
        try:
            async with ClientSession() as session, session.ws_connect(url, protocols=(SUBPROTOCOL,)) as socket:
                await meanwhile(socket, container)
                async for received in socket:
                    assert received.type is WSMsgType.BINARY
                    heard.streams[received.data[0]] += received.data[1:]
                await carried.wait()
        finally:
            container.kill()
            await container.wait()
            await runner.cleanup()
        return heard

    return asyncio.run(whole())


def test_output_errors_and_the_exit_code_arrive(tmp_path: Path) -> None:
    heard = run(tmp_path, "echo $MARK; echo wrong >&2; exit 7")
    assert heard.streams[Channel.STDOUT] == b"of the container\n"
    assert heard.streams[Channel.STDERR] == b"wrong\n"
    assert heard.code == 7


def test_much_output_arrives_whole(tmp_path: Path) -> None:
    heard = run(tmp_path, "head -c 3000000 /dev/zero")
    assert heard.streams[Channel.STDOUT] == bytes(3_000_000)
    assert heard.code == 0


def test_a_command_reads_what_its_client_sends_until_the_end(tmp_path: Path) -> None:
    async def type_in(socket: ClientWebSocketResponse, container: Child) -> None:
        for piece in (b"\x00one ", b"\x00two", b"\xff\x00", b"\x00late"):
            await socket.send_bytes(piece)

    assert run(tmp_path, "cat", stdin=True, meanwhile=type_in).streams[Channel.STDOUT] == b"one two"


def test_without_input_a_command_reads_the_end_at_once(tmp_path: Path) -> None:
    assert run(tmp_path, "cat; echo done").streams[Channel.STDOUT] == b"done\n"


def test_a_command_that_reads_no_more_still_tells_its_end(tmp_path: Path) -> None:
    async def type_much(socket: ClientWebSocketResponse, container: Child) -> None:
        for _ in range(20):
            await socket.send_bytes(b"\x00" + bytes(30_000))

    assert run(tmp_path, "exec <&-; exit 3", stdin=True, meanwhile=type_much).code == 3


def test_a_command_is_killed_with_its_container(tmp_path: Path) -> None:
    async def end(socket: ClientWebSocketResponse, container: Child) -> None:
        container.kill()

    assert run(tmp_path, "sleep 60", meanwhile=end).code == 137


async def end_of(pid: int) -> None:
    """Until this process has ended, a stranger's child too."""
    process, over = os.pidfd_open(pid), asyncio.Event()
    asyncio.get_running_loop().add_reader(process, over.set)
    await over.wait()
    asyncio.get_running_loop().remove_reader(process)
    os.close(process)


@pytest.mark.parametrize("farewell", [b"\x09nonsense", None], ids=["nonsense", "close"])
def test_a_command_ends_with_its_client(tmp_path: Path, farewell: bytes | None) -> None:
    async def leave(socket: ClientWebSocketResponse, container: Child) -> None:
        first = await socket.receive_bytes()
        ended = asyncio.create_task(end_of(int(first[1:])))
        await asyncio.sleep(0)
        if farewell is None:
            await socket.close()
        else:
            await socket.send_bytes(farewell)
            assert (await socket.receive()).type is WSMsgType.CLOSE
        await ended

    assert not run(tmp_path, "echo $$; exec sleep 60", stdin=True, meanwhile=leave).streams


def test_a_command_is_ended_when_it_writes_too_much(tmp_path: Path) -> None:
    heard = run(tmp_path, "cat /dev/zero", limits=Limits(output=100_000))
    assert heard.status["message"] == "the command wrote more than 100000 bytes, and was ended"


def test_a_command_is_ended_when_it_takes_too_long(tmp_path: Path) -> None:
    heard = run(tmp_path, "sleep 60", limits=Limits(seconds=0.2))
    assert heard.status["message"] == "the command ran longer than 0.2 s, and was ended"


def test_what_left_a_command_behind_has_no_hold_of_the_lab(tmp_path: Path) -> None:
    """It loses the pipes when the command is over: descriptors here would else last as long as it does."""

    async def wait(socket: ClientWebSocketResponse, container: Child) -> None:
        first = await socket.receive_bytes()
        await end_of(int(first[1:].split()[0]))

    left_behind = "setsid sh -c 'echo $$; while sleep 0.05; do echo still here || exit; done' & wait"
    heard = run(tmp_path, left_behind, meanwhile=wait, limits=Limits(seconds=0.5))
    assert heard.status["message"] == "the command ran longer than 0.5 s, and was ended"


def test_who_writes_into_a_pipe_that_nobody_reads_ends_without_a_word(tmp_path: Path) -> None:
    heard = run(tmp_path, "yes | head -n 1")
    assert (heard.streams[Channel.STDOUT], heard.streams[Channel.STDERR]) == (b"y\n", b"")


def test_a_program_that_is_not_there_is_a_failure_with_its_name(tmp_path: Path) -> None:
    heard = run(tmp_path, "exec no-such-program")
    assert heard.code == 127
    assert b"no-such-program" in heard.streams[Channel.STDERR]


def test_on_a_terminal_a_command_is_alone_in_control_of_it_and_as_wide_as_the_client(tmp_path: Path) -> None:
    async def resize(socket: ClientWebSocketResponse, container: Child) -> None:
        await socket.send_bytes(b'\x04{"Width":91,"Height":17}')
        await socket.send_bytes(b"\x00go\n")

    script = "test -t 0 -a -t 1 -a -t 2 && read word </dev/tty && stty size && echo $TERM $word >&2; exit 5"
    heard = run(tmp_path, script, meanwhile=resize, stdin=True, tty=True)

    assert heard.streams[Channel.STDOUT].replace(b"go\r\n", b"", 1) == b"17 91\r\nxterm go\r\n"
    assert heard.code == 5


def test_on_a_terminal_keys_interrupt_a_command(tmp_path: Path) -> None:
    async def interrupt(socket: ClientWebSocketResponse, container: Child) -> None:
        await socket.send_bytes(b"\x00here\r")
        heard = b""
        while heard.count(b"here") < 2:  # once by the terminal, and then by cat, which runs by then
            heard += (await socket.receive_bytes())[1:]
        await socket.send_bytes(b"\x00\x03")

    assert run(tmp_path, "exec cat", meanwhile=interrupt, stdin=True, tty=True).code == 130


def test_what_a_command_writes_on_a_terminal_arrives_whole(tmp_path: Path) -> None:
    heard = run(tmp_path, "seq 100000", tty=True)
    assert heard.streams[Channel.STDOUT].split() == [b"%d" % number for number in range(1, 100_001)]
