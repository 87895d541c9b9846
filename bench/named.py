"""Connections whose client knows who serves each, and says which of them broke; and the pods that say who they are.

`named.py HOST PORT COUNT INTERVAL` runs on a host of a lab: so many connections, each of which says a byte now and then
and wants it back, until SIGTERM; then prints JSON: per server how many there were, how many broke, and the longest
silence of one that lived.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

SERVER: Final = """
import asyncio, socket
async def talk(reader, writer):
    writer.write(socket.gethostname().encode() + b"\\n")
    try:
        while data := await reader.read(1000):
            writer.write(data)
    except OSError:
        pass
    writer.close()
async def main():
    async with await asyncio.start_server(talk, None, 8080, backlog=1024):
        await asyncio.Event().wait()
asyncio.run(main())
"""


def named_servers() -> dict[str, Any]:
    """A DaemonSet of pods, ``app: named``, that say their name and then echo, on TCP port 8080."""
    container = {"name": "named", "image": "python", "args": ["-c", SERVER], "ports": [{"containerPort": 8080}]}
    labels = {"app": "named"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "named", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "tolerations": [{"operator": "Exists"}]},
            },
        },
    }


@dataclass(slots=True)
class Seen:
    """Of one server."""

    count: int = 0
    broken: int = 0
    silence: float = 0.0


async def converse(host: str, port: int, seen: dict[str, Seen], interval: float, ended: asyncio.Event) -> None:
    """One connection, until it breaks or all end."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 20.0)
    its = seen.setdefault((await asyncio.wait_for(reader.readline(), 20.0)).decode().strip(), Seen())
    its.count += 1
    try:
        while not ended.is_set():
            began = time.monotonic()
            writer.write(b".")
            if await asyncio.wait_for(reader.readexactly(1), 20.0) != b".":
                raise EOFError
            its.silence = max(its.silence, time.monotonic() - began)
            await asyncio.sleep(interval)
    except (OSError, EOFError, TimeoutError):
        its.broken += 1
    finally:
        writer.close()


async def run(host: str, port: int, count: int, interval: float) -> dict[str, Seen]:
    """Says that it begins once all are open."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    seen: dict[str, Seen] = {}
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(converse(host, port, seen, interval, ended))
            while sum(its.count for its in seen.values()) < number - 20:
                await asyncio.sleep(0.01)  # not more at once than are accepted
        while sum(its.count for its in seen.values()) < count:
            await asyncio.sleep(0.01)
        print("ready", flush=True)
    return seen


def main() -> None:
    host, port, count, interval = sys.argv[1:]
    seen = asyncio.run(run(host, int(port), int(count), float(interval)))
    told = {name: {"count": its.count, "broken": its.broken, "silence": its.silence} for name, its in seen.items()}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
