"""Many connections to one address, each of which says a byte now and then and wants it back; runs on a host of a lab.

`conversations.py HOST PORT COUNT INTERVAL [RATE]`: until SIGTERM, then prints JSON: how many broke, the longest silence
of one that lived, and of RATE new ones per second how many failed and the slowest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Seen:
    """What there is to tell."""

    broken: list[str] = field(default_factory=list)
    silence: float = 0.0
    opened: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen, interval: float, ended: asyncio.Event
) -> None:
    """One connection, until it breaks or all end."""
    try:
        while not ended.is_set():
            began = time.monotonic()
            writer.write(b".")
            if await asyncio.wait_for(reader.readexactly(1), 20.0) != b".":
                seen.broken.append("another byte")
                return
            seen.silence = max(seen.silence, time.monotonic() - began)
            await asyncio.sleep(interval)
    except (OSError, EOFError, TimeoutError) as error:
        seen.broken.append(type(error).__name__)
    finally:
        writer.close()


async def opened(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, as soon as there is one: somebody may be starting there."""
    async with asyncio.timeout(30.0):
        while True:
            try:
                return await asyncio.wait_for(asyncio.open_connection(host, port), 5.0)
            except OSError:
                await asyncio.sleep(0.1)


async def greet(host: str, port: int, seen: Seen) -> None:
    """One more connection, for one byte."""
    began = time.monotonic()
    seen.opened += 1
    try:
        async with asyncio.timeout(10.0):
            reader, writer = await asyncio.open_connection(host, port)
            seen.slowest = max(seen.slowest, time.monotonic() - began)
            writer.write(b".")
            await reader.readexactly(1)
            writer.close()
    except (OSError, EOFError, TimeoutError) as error:
        seen.failed.append(type(error).__name__)


async def run(host: str, port: int, count: int, interval: float, rate: float) -> Seen:
    """Says that it begins once all are open."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    seen = Seen()
    pairs = [await opened(host, port) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for reader, writer in pairs:
            tasks.create_task(converse(reader, writer, seen, interval, ended))
        print("ready", flush=True)
        while not ended.is_set():
            if rate:
                tasks.create_task(greet(host, port, seen))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 1 / rate if rate else None)
    return seen


def main() -> None:
    host, port, count, interval, *rate = sys.argv[1:]
    seen = asyncio.run(run(host, int(port), int(count), float(interval), float(rate[0]) if rate else 0.0))
    told = {"broken": seen.broken, "silence": seen.silence}
    print(json.dumps({**told, "opened": seen.opened, "failed": seen.failed, "slowest": seen.slowest}), flush=True)


if __name__ == "__main__":
    main()
