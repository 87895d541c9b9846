"""The control socket between the `purelb-lab` command and the lab's supervisor.

Owns the wire form: one connection a request; the request is one JSON line, the answer JSON lines of which the
last has `ok` or `error`. With `ok` file descriptors of namespaces may travel (unix(7), SCM_RIGHTS).
Must not know what the requests mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError, NoLab
from purelb.errors import KubeError

log = logging.getLogger("lab.control")

_NAME = "lab.sock"
_MOST_FDS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to."""

    values: dict[str, Any] = field(default_factory=dict)
    fds: tuple[int, ...] = ()


Handler = Callable[[str, dict[str, Any]], Awaitable[Answer]]


def listen(folder: Path) -> socket.socket:
    """The supervisor's listening socket in the lab's folder; one left by a lab that died is replaced."""
    with contextlib.suppress(FileNotFoundError):
        (folder / _NAME).unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with _short_path(folder) as path:
        server.bind(path)
    (folder / _NAME).chmod(0o600)
    server.listen()
    return server


async def serve(server: socket.socket, handle: Handler) -> None:
    """Answer requests until cancelled; each in a task of its own."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        while True:
            connection, _ = await loop.sock_accept(server)
            connection.setblocking(False)
            tasks.create_task(_answer(connection, handle))


async def _answer(connection: socket.socket, handle: Handler) -> None:
    loop = asyncio.get_running_loop()
    with connection, contextlib.suppress(ConnectionError):
        text = b""
        while not text.endswith(b"\n"):
            part = await loop.sock_recv(connection, 65536)
            if not part:
                return
            text += part
        request = json.loads(text)
        fds: tuple[int, ...] = ()
        line: Mapping[str, object]
        try:
            answer = await handle(request["op"], request.get("arguments", {}))
            line, fds = {"ok": answer.values}, answer.fds
        except (LabError, KubeError) as failure:
            line = {"error": f"{failure}"}
        except Exception as failure:  # a mistake of ours: one request fails, and the lab goes on
            log.exception("request %s", request["op"])
            line = {"error": f"{request['op']}: {type(failure).__name__}: {failure}"}
        raw = json.dumps(line).encode() + b"\n"
        if fds:
            socket.send_fds(connection, [raw], fds)
        else:
            await loop.sock_sendall(connection, raw)


def request(folder: Path, op: str, patience: float = 30.0, **arguments: Any) -> Answer:
    """Ask the lab in that folder; `patience` in seconds. Raises NoLab, or LabError with its sentence."""
    with connect(folder) as connection:
        connection.settimeout(patience)
        connection.sendall(json.dumps({"op": op, "arguments": arguments}).encode() + b"\n")
        text, fds = b"", []
        try:
            while not text.endswith(b"\n"):
                part, received, _, _ = socket.recv_fds(connection, 65536, _MOST_FDS)
                fds += received
                if not part:
                    raise NoLab(f"the lab in {folder} ended while it was asked for {op!r}")
                text += part
        except TimeoutError:
            raise LabError(f"the lab in {folder} gives no answer to {op!r} in {patience:g} s") from None
        except ConnectionError as failure:
            raise NoLab(f"the lab in {folder} ended while it was asked for {op!r}") from failure
    reply = json.loads(text)
    if "error" in reply:
        raise LabError(reply["error"])
    return Answer(reply["ok"], tuple(fds))


def connect(folder: Path) -> socket.socket:
    """A connection to the lab in that folder. Raises NoLab."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(folder) as path:
            connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NoLab(f"no lab runs in {folder}: `purelb-lab up` starts one") from None
    return connection


def supervisor_pid(connection: socket.socket) -> int:
    """Pid of the supervisor as we see it, whatever PID namespace it lives in (SO_PEERCRED)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", raw)
    return int(pid)


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """The socket's path by way of /proc: an address holds 107 bytes, and folders may be deeper than that."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{_NAME}"
    finally:
        os.close(fd)
