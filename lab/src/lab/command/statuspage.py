"""The allocator's status page at a port of the machine that the lab is on.

Owns which allocator is asked, and the way there: a socket that listens in the machine's own network belongs to a
process in a node's. What carries the connections is the wire's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from lab.command.hosts import Hosts
from lab.errors import LabError
from lab.wire.forward import Forwarder
from purelb.names import ALLOCATOR_COMPONENT, PAGE_PORT


def show_page(folder: Path, port: int, enter: Callable[[str], None]) -> None:
    """Carry to the page of the allocator that leads, until interrupted; port 0 is a free one. Raises LabError.

    ``enter`` moves this process into the network of a host.
    """
    with Hosts(folder) as hosts:
        node, address = _find(hosts)
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise LabError(f"port {port} can't be had: {error.strerror}") from error
    with listening:
        print(
            f"http://127.0.0.1:{listening.getsockname()[1]}/ is the allocator's on {node}; Ctrl-C ends it", flush=True
        )
        enter(node)
        asyncio.run(Forwarder([listening], address, PAGE_PORT).run())


def _find(hosts: Hosts) -> tuple[str, str]:
    """The node and the pod's address of the allocator that leads. Raises LabError."""
    leader = (hosts.get("lease", ALLOCATOR_COMPONENT, "-n", "purelb").get("spec") or {}).get("holderIdentity")
    for pod in hosts.get("pods", "-n", "purelb", "-l", "component=allocator")["items"]:
        if pod["metadata"]["name"] == leader and (address := (pod.get("status") or {}).get("podIP")):
            return pod["spec"]["nodeName"], address
    raise LabError("no allocator leads now: try again in a moment")
