"""Many connections to one address, each of which says a byte now and then and wants it back; runs on a host of a lab.
And the pods that give it back.

`conversations.py HOST PORT COUNT INTERVAL [RATE [DATAGRAMS]]`: until SIGTERM, then prints JSON: how many broke, the
longest silence of one that lived, and of RATE new ones per second how many failed and the slowest; and by whom each of
so many flows of datagrams was answered first and last, who has to say his name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

SERVER: Final = """
import asyncio, socket
class Named(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, addr):
        self.transport.sendto(socket.gethostname().encode(), addr)
async def talk(reader, writer):
    try:
        while data := await reader.read(1000):
            writer.write(data)
    except OSError:
        pass
    writer.close()
async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Named, local_addr=("::", 8080))
    async with await asyncio.start_server(talk, None, 8080, backlog=1024):
        await asyncio.Event().wait()
asyncio.run(main())
"""


def talkers(replicas: int) -> dict[str, Any]:
    """A Deployment of pods, ``app: talk``, that echo on TCP port 8080, and say their name on UDP port 8080."""
    container = {"name": "talk", "image": "python", "args": ["-c", SERVER], "ports": [{"containerPort": 8080}]}
    labels = {"app": "talk"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "talk", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@dataclass(slots=True)
class Seen:
    """What there is to tell."""

    broken: list[str] = field(default_factory=list)
    silence: float = 0.0
    opened: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    answerers: list[list[str]] = field(default_factory=list)
    """Of each flow of datagrams."""


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


class Datagrams(asyncio.DatagramProtocol):
    """Notes who answers."""

    def __init__(self) -> None:
        self.answerers: list[str] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name = data.decode()
        self.answerers[:] = [self.answerers[0] if self.answerers else name, name]


async def ask(host: str, port: int, seen: Seen, interval: float, ended: asyncio.Event) -> None:
    """One flow of datagrams."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=(host, port))
    seen.answerers.append(protocol.answerers)
    while not ended.is_set():
        transport.sendto(b".")
        await asyncio.sleep(interval)
    transport.close()


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


async def run(host: str, port: int, count: int, interval: float, rate: float, datagrams: int) -> Seen:
    """Says that it begins once all are open."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    seen = Seen()
    pairs = [await opened(host, port) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for reader, writer in pairs:
            tasks.create_task(converse(reader, writer, seen, interval, ended))
        for _ in range(datagrams):
            tasks.create_task(ask(host, port, seen, interval, ended))
        print("ready", flush=True)
        while not ended.is_set():
            if rate:
                tasks.create_task(greet(host, port, seen))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 1 / rate if rate else None)
    return seen


def main() -> None:
    host, port, count, interval, *rate = sys.argv[1:]
    per_second, datagrams = float(rate[0]) if rate else 0.0, int(rate[1]) if len(rate) > 1 else 0
    seen = asyncio.run(run(host, int(port), int(count), float(interval), per_second, datagrams))
    told = {"broken": seen.broken, "silence": seen.silence, "answerers": seen.answerers}
    print(json.dumps({**told, "opened": seen.opened, "failed": seen.failed, "slowest": seen.slowest}), flush=True)


if __name__ == "__main__":
    main()
