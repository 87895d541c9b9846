"""`kubectl logs`: the options of `pods/log`, and logs kept as files.

Owns which lines are sent. The server is given a `LogProvider`; `file_logs` is the one for a folder of logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from .errors import JsonObject, StatusError, bad_request
from .paths import is_true

_POLL: Final = 0.2
"""Seconds between looks at a file that is followed."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`tail_lines` and `limit_bytes` None: all. `since` is a time before which lines may be left out."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None


class LogProvider(Protocol):
    """Gives a container's output in pieces. The first argument is the Pod. Raises `StatusError` when there is none."""

    def __call__(self, pod: JsonObject, options: LogOptions, /) -> AsyncGenerator[bytes, None]: ...


def read_options(pod: JsonObject, query: Mapping[str, str]) -> LogOptions:
    """Raises `StatusError` 400 when the container is not named and there are several, or is not in the Pod."""
    name, spec = pod["metadata"]["name"], pod.get("spec", {})
    containers = [entry["name"] for entry in spec.get("containers") or []]
    known = containers + [entry["name"] for entry in spec.get("initContainers") or []]
    container = query.get("container", "")
    if not container:
        if len(containers) != 1:
            listed = " ".join(containers)
            raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{listed}]")
        container = containers[0]
    elif container not in known:
        raise bad_request(f"container {container} is not valid for pod {name}")
    return LogOptions(
        container,
        follow=is_true(query.get("follow")),
        previous=is_true(query.get("previous")),
        timestamps=is_true(query.get("timestamps")),
        tail_lines=_number(query, "tailLines"),
        limit_bytes=_number(query, "limitBytes"),
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


async def no_logs(pod: JsonObject, options: LogOptions, /) -> AsyncGenerator[bytes, None]:
    """The provider of a server that runs no containers."""
    raise _waiting(pod, options)
    yield b""


def _waiting(pod: JsonObject, options: LogOptions) -> StatusError:
    name = pod["metadata"]["name"]
    if options.previous:
        return bad_request(f'previous terminated container "{options.container}" in pod "{name}" not found')
    return bad_request(f'container "{options.container}" in pod "{name}" is waiting to start: ContainerCreating')


class FileLogs:
    """Logs as the kubelet keeps them: `<namespace>_<pod>_<uid>/<container>/<restart>.log`, plain lines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, pod: JsonObject, options: LogOptions, /) -> AsyncGenerator[bytes, None]:
        path = self._path(pod, options)
        if path is None:
            raise _waiting(pod, options)
        content = await asyncio.to_thread(path.read_bytes)
        offset = len(content)
        if options.tail_lines is not None:
            lines = content.splitlines(keepends=True)
            content = b"".join(lines[len(lines) - options.tail_lines :]) if options.tail_lines > 0 else b""
        sent = 0
        while True:
            if content and options.timestamps:
                content = _stamped(content, path)
            if options.limit_bytes is not None:
                content = content[: options.limit_bytes - sent]
            if content:
                sent += len(content)
                yield content
            if not options.follow or (options.limit_bytes is not None and sent >= options.limit_bytes):
                return
            await asyncio.sleep(_POLL)
            content = await asyncio.to_thread(_read_from, path, offset)
            offset += len(content)

    def _path(self, pod: JsonObject, options: LogOptions) -> Path | None:
        meta = pod["metadata"]
        folder = self._folder / f"{meta['namespace']}_{meta['name']}_{meta['uid']}" / options.container
        runs = sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdigit())
        wanted = -2 if options.previous else -1
        return folder / f"{runs[wanted]}.log" if len(runs) >= -wanted else None


def _read_from(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def _stamped(content: bytes, path: Path) -> bytes:
    """Each line with the file's last change as its time: lines carry none of their own."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ").encode()
    return b"".join(stamp + line for line in content.splitlines(keepends=True))
