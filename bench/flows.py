"""Clients and servers of many flows, for measurements: each runs in the network of one host of a lab.

`serve NODE VIP` answers on a node: UDP port 9000, TCP port 9001 and HTTP, each answer beginning with the node's name.
`udp VIP FLOWS SECONDS` sends on every flow each so many seconds, until SIGTERM. `tcp VIP FLOWS` opens connections and
tries each again for every line on stdin. `http URL RATE` asks so many times a second, until SIGTERM. They print JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from lab.kubelet.echo import answer

UDP, TCP, HTTP = 9000, 9001, 80
PATIENCE: Final = 2.0
"""Seconds for an answer."""


# --- the nodes' side -------------------------------------------------------------------------------------------------


class _Echo(asyncio.DatagramProtocol):
    def __init__(self, node: str) -> None:
        self._node = node.encode()
        self._transport: Any = None  # asyncio's datagram transports have no public class in common

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._node, addr)


async def serve(node: str, vip: str) -> None:
    """Answer for ever, and say that it begins."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(f"{node}\n".encode())
            while line := await reader.readline():
                writer.write(line)
        writer.close()

    await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Echo(node), (vip, UDP))
    await asyncio.start_server(converse, vip, TCP)
    await asyncio.start_server(partial(answer, node), vip, HTTP)
    print("ready", flush=True)
    await asyncio.Event().wait()


# --- the client's side -----------------------------------------------------------------------------------------------


def udp(vip: str, flows: int, interval: float) -> None:
    """Prints, per flow, when which node answered: [[seconds, node], …], CLOCK_MONOTONIC."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
    poll = select.epoll()
    for one in sockets:
        one.connect((vip, UDP))
        one.setblocking(False)
        poll.register(one, select.EPOLLIN)
    by_fd = {one.fileno(): number for number, one in enumerate(sockets)}
    seen: list[list[tuple[float, str]]] = [[] for _ in sockets]
    is_on = _until_terminated()
    print("ready", flush=True)
    tick = time.monotonic()
    while is_on():
        for one in sockets:
            with contextlib.suppress(OSError):
                one.send(b"?")
        # One that is late leaves rounds out rather than answers unread.
        tick = max(tick + interval, time.monotonic())
        is_first = True
        while is_first or tick > time.monotonic():
            is_first = False
            for fd, _ in poll.poll(max(0.0, tick - time.monotonic()), flows):
                number = by_fd[fd]
                with contextlib.suppress(OSError):
                    seen[number].append((time.monotonic(), sockets[number].recv(100).decode()))
    print(json.dumps(seen), flush=True)


def _until_terminated() -> Callable[[], bool]:
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    return lambda: not ended


async def tcp(vip: str, flows: int) -> None:
    """Prints the node of each connection; then, for each line on stdin, whether each still answers."""
    connections = []
    for _ in range(flows):
        reader, writer = await asyncio.wait_for(asyncio.open_connection(vip, TCP), PATIENCE)
        connections.append(((await asyncio.wait_for(reader.readline(), PATIENCE)).decode().strip(), reader, writer))
    print(json.dumps([node for node, _, _ in connections]), flush=True)

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            writer.write(b"still there\n")
            return await asyncio.wait_for(reader.readline(), PATIENCE) == b"still there\n"
        except (OSError, TimeoutError):
            return False

    while await asyncio.to_thread(sys.stdin.readline):
        print(
            json.dumps(await asyncio.gather(*(answers(reader, writer) for _, reader, writer in connections))),
            flush=True,
        )


async def http(url: str, rate: float) -> None:
    """Prints how many requests there were, which failed, and the slowest in seconds."""
    host = url.removeprefix("http://").strip("/")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    failures: list[str] = []
    durations: list[float] = []

    async def ask() -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(host, 80)
                writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read()
                writer.close()
            if not answer.startswith(b"HTTP/1.1 200"):
                failures.append(f"{time.monotonic():.3f} {answer[:40]!r}")
        except (OSError, TimeoutError) as error:
            failures.append(f"{time.monotonic():.3f} {type(error).__name__}")
        durations.append(time.monotonic() - began)

    print("ready", flush=True)
    next_at = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        while not ended.is_set():
            tasks.create_task(ask())
            next_at += 1 / rate
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    print(json.dumps({"requests": len(durations), "failures": failures, "slowest": max(durations)}), flush=True)


def main() -> None:
    match sys.argv[1:]:
        case ["serve", node, vip]:
            asyncio.run(serve(node, vip))
        case ["udp", vip, flows, interval]:
            udp(vip, int(flows), float(interval))
        case ["tcp", vip, flows]:
            asyncio.run(tcp(vip, int(flows)))
        case ["http", url, rate]:
            asyncio.run(http(url, float(rate)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
