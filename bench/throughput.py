"""One connection to an address that says as much as it can; runs on a host of a lab. And the pod that reads it all.

`throughput.py HOST PORT`: until SIGTERM, then prints JSON: how many bytes were taken until when, each TICK.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from typing import Any, Final

SERVER: Final = """
import socket
with socket.create_server(("", 8080)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            while connection.recv(1 << 20):
                pass
"""
TICK: Final = 0.1
"""Seconds."""


def sink() -> dict[str, Any]:
    """A Deployment of one pod, ``app: sink``, that reads what it's told on TCP port 8080."""
    container = {"name": "sink", "image": "python", "args": ["-c", SERVER], "ports": [{"containerPort": 8080}]}
    labels = {"app": "sink"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sink", "namespace": "default"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def rate(taken: list[tuple[float, int]], begin: float, end: float) -> float:
    """MiB/s between two moments (CLOCK_MONOTONIC is one for all hosts of a lab)."""
    its = [(when, count) for when, count in taken if begin <= when <= end]
    if len(its) < 2:
        return 0.0
    (first, before), (last, after) = its[0], its[-1]
    return (after - before) / (last - first) / (1 << 20)


def opened(host: str, port: int) -> socket.socket:
    """A connection, as soon as there is one: somebody may be starting there."""
    for _ in range(300):
        try:
            return socket.create_connection((host, port), 30.0)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nobody listens at {host}")


def main() -> None:
    taken, is_over, count, block = list[tuple[float, int]](), list[bool](), 0, bytes(1 << 16)
    signal.signal(signal.SIGTERM, lambda *_: is_over.append(True))
    with opened(sys.argv[1], int(sys.argv[2])) as connection:
        print("ready", flush=True)
        while not is_over:
            count += connection.send(block)
            now = time.monotonic()
            if not taken or now - taken[-1][0] >= TICK:
                taken.append((now, count))
    print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
