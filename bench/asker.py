"""Asks web servers again and again, each time by a new connection: ``python -m bench.asker INTERVAL HOST...``

Begins with a line, goes on until it is told to end, and prints per host when it was asked (CLOCK_MONOTONIC, seconds)
and when the answer came; None for one that didn't within PATIENCE.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import Final

PATIENCE: Final = 1.0
"""Seconds for an answer: before a lost SYN is sent again, so that it counts."""
PORT: Final = 80
REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"


async def answers(host: str) -> bool:
    """Whether a new connection is answered in time."""
    writer = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, PORT)
            writer.write(REQUEST)
            return bool(await reader.read(1))
    except OSError:  # TimeoutError among them
        return False
    finally:
        if writer is not None:
            writer.close()


class Asked:
    """One server, and what became of each question."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.sent: list[float] = []
        self.received: list[float | None] = []

    async def ask(self) -> None:
        number = len(self.sent)
        self.sent.append(time.monotonic())
        self.received.append(None)
        if await answers(self.host):
            self.received[number] = time.monotonic()


async def ask_all(servers: list[Asked], interval: float, end: asyncio.Event) -> None:
    """Ask until ``end``, then wait for the last answers."""
    async with asyncio.TaskGroup() as tasks:
        while not end.is_set():
            for server in servers:
                tasks.create_task(server.ask())
                await asyncio.sleep(interval / len(servers))


async def run(interval: float, hosts: list[str]) -> list[Asked]:
    """All that was asked until SIGTERM."""
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    servers = [Asked(host) for host in hosts]
    print("asking", flush=True)
    await ask_all(servers, interval, end)
    return servers


def main() -> None:
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # the client is not what is measured
    for one in asyncio.run(run(float(sys.argv[1]), sys.argv[2:])):
        print(json.dumps({"address": one.host, "sent": one.sent, "received": one.received}))


if __name__ == "__main__":
    main()
