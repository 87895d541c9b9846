"""What `kubectl exec` and a kubelet say to each other by WebSocket: the streams of a command as messages, and its end.

Owns the subprotocol v5.channel.k8s.io (k8s.io/apimachinery/pkg/util/remotecommand): each binary message is the number
of a stream and what came by it. Pure; knows no socket and no process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SUBPROTOCOL: Final = "v5.channel.k8s.io"


class Channel(IntEnum):
    """The first byte of a message."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    """How the command ended: a metav1.Status, the last message."""
    RESIZE = 4
    """How large the client's terminal is: JSON, Width and Height."""
    CLOSE = 255
    """The second byte names the channel by which nothing more comes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to run, and which of its streams the client wants."""

    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


@dataclass(frozen=True, slots=True)
class Input:
    """For the command to read; `is_last` when nothing more comes."""

    data: bytes = b""
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """The client's terminal is that large now."""

    columns: int
    rows: int


def read_wish(query: Iterable[tuple[str, str]]) -> Wish:
    """The options of /exec of kubelet's API, as kube-apiserver asks them. Raises ValueError in one sentence."""
    pairs = list(query)
    asked = {name for name, value in pairs if value in ("1", "true")}
    command = tuple(value for name, value in pairs if name == "command")
    if not command:
        raise ValueError("you must specify a command")
    if not asked & {"input", "output", "error"}:
        raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
    return Wish(command, "input" in asked, "output" in asked, "error" in asked, "tty" in asked)


def read_message(message: bytes) -> Input | Resize:
    """What a client's message has for the command; of channels that nobody reads nothing. Raises ValueError."""
    if not message:
        raise ValueError("a message names no channel")
    match message[0]:
        case Channel.STDIN:
            return Input(message[1:])
        case Channel.CLOSE:
            return Input(is_last=message[1:] == bytes([Channel.STDIN]))
        case Channel.RESIZE:
            return _read_size(message[1:])
        case other:
            raise ValueError(f"clients don't send by channel {other}")


def _read_size(data: bytes) -> Resize:
    try:
        told = json.loads(data)
        columns, rows = int(told["Width"]), int(told["Height"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("that is no size of a terminal") from None
    if not (0 <= columns < 2**16 and 0 <= rows < 2**16):
        raise ValueError(f"no terminal has {columns} columns and {rows} rows")
    return Resize(columns, rows)


def message(channel: Channel, data: bytes) -> bytes:
    return bytes([channel]) + data


def ended(code: int) -> bytes:
    """The last message of a command that ended with this exit code."""
    if code == 0:
        return _status(status="Success")
    return _status(
        status="Failure",
        message=f"command terminated with non-zero exit code: exit status {code}",
        reason="NonZeroExitCode",
        details={"causes": [{"reason": "ExitCode", "message": str(code)}]},
    )


def failed(sentence: str) -> bytes:
    """The last message when there is no exit code to tell."""
    return _status(status="Failure", message=sentence, reason="InternalError", code=500)


def _status(**fields: object) -> bytes:
    return message(Channel.ERROR, json.dumps({"metadata": {}, **fields}).encode())
