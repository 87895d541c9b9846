"""How soon does an agent that starts from its image announce? From the start of its container to the first address.

A lab of two nodes whose programs run from the images' file systems, confined as the manifests say. SIGTERM takes one
agent and its addresses away, to the other node; then its container is started again, as in a rolling upgrade, and the
node's interface is watched until it has its address again. `--images DIR` names what `make images` made. Prints JSON
lines. Needs root.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.cluster import NotSettled, eventually, service, vips_of
from bench.report import event, figure
from lab.command import control
from lab.command.hosts import Hosts
from lab.command.lifecycle import MANIFEST, install, start_lab, stop_lab
from lab.errors import LabError
from lab.settings import Settings
from lab.wire.topology import topology

BENCH: Final = "imagestart"
BACKOFF: Final = 10.5
"""Seconds that the lab's kubelet holds back a program that ended often; the start is measured from its end on."""
LIMIT: Final = 3.0
"""Seconds that an agent may take from the start of its container."""
_GROUP: Final = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "wire", "namespace": "purelb"},
    "spec": {"local": {"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.64.0/18", "aggregation": "default"}}},
}


def has_vip(hosts: Hosts, node: str, vip: str) -> bool:
    return any(str(one.ip) == vip for one in hosts.addresses(node, "eth0"))


def one_start(hosts: Hosts, folder: Path, node: str, vip: str) -> float:
    """Seconds from the start of the container to its first address."""
    control.request(folder, "fault", 60, target=node, kind="agent-stop")
    eventually("the address doesn't go", lambda: not has_vip(hosts, node, vip), 40)
    time.sleep(BACKOFF)
    began = time.monotonic()
    control.request(folder, "heal", 60, target=node)
    while not has_vip(hosts, node, vip):
        if time.monotonic() - began > 60:
            raise NotSettled("the address doesn't come back")
        time.sleep(0.01)
    return time.monotonic() - began


def measure(folder: Path, images: str | None, runs: int) -> bool:
    nodes = [node.name for node in topology(2).nodes]
    worker = nodes[1]
    (vip,) = vips_of(worker, nodes, 1)
    start_lab(folder, Settings(str(folder), nodes=2, images=images), say=lambda _: None)
    try:
        install(folder, MANIFEST, say=lambda _: None)
        with Hosts(folder) as hosts:
            for body in (_GROUP, service("first", vip)):
                done = hosts.kubectl("apply", "-f", "-", stdin=_json(body))
                if done.returncode:
                    raise LabError(done.stderr.strip())
            eventually("the address doesn't come", lambda: has_vip(hosts, worker, vip), 60)
            took = []
            for run in range(runs):
                took.append(one_start(hosts, folder, worker, vip))
                event(BENCH, run=run, seconds=round(took[-1], 3))
    finally:
        stop_lab(folder)
    worst, source = max(took), "image" if images else "machine's own files"
    holds = worst <= LIMIT
    figure(BENCH, f"start to first announcement, from {source}", worst, "s", f"<= {LIMIT:g}", holds, runs=runs)
    return holds


def _json(body: object) -> str:
    return json.dumps(body)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.imagestart", description=__doc__)
    parser.add_argument("--images", type=Path, metavar="DIR", help="made by `make images`; else the machine's files")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    images = str(arguments.images.absolute()) if arguments.images else None
    with tempfile.TemporaryDirectory(prefix="purelb-imagestart-") as folder:
        return 0 if measure(Path(folder), images, arguments.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
