"""FRR on the lab's router: its configuration, from the article's, and its daemons in the router's network.

Owns what lies in the router's folder. Must not know the nodes beyond their addresses.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError, StartFailed
from lab.machine.processes import Child, Program, start
from lab.wire.network import Network
from lab.wire.topology import Topology

NODE_AS, ROUTER_AS = 64515, 64512
_DAEMON_FOLDER = Path("/usr/lib/frr")
_RUN = "/run/frr"  # as the daemons see it; outside it is `run_folder`
_CONFIGURATION = "frr.conf"
_READY_SECONDS = 15.0
# FRR insists that the user it runs as belongs to this group; nobody of the lab's is asked to.
_GROUP = "frrvty"

_HEAD = """\
frr version 8.4.4
frr defaults traditional
hostname {hostname}
log stdout
password zebra
!
router bgp {router_as}
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 !
"""
_NEIGHBOUR = """\
 neighbor {address} remote-as {node_as}
 neighbor {address} description {description}
 neighbor {address} bfd 3 {bfd} {bfd}
"""
_FAMILIES = """\
 !
 address-family ipv4 unicast
  maximum-paths {paths}
 exit-address-family
 !
 address-family ipv6 unicast
{activate}
  maximum-paths {paths}
 exit-address-family
exit
!
"""
_MORE_OPTIONS = {
    # An IPv6 route that gets other next hops is replaced: by itself zebra deletes it first, and traffic fails then.
    "zebra": ("--v6-rr-semantics",),
    "bfdd": ("--bfdctl", f"{_RUN}/bfdd.sock"),
}
_MOST_PATHS = 64  # as FRR is built in Debian


def run_folder(folder: Path) -> Path:
    """Where the daemons' sockets are; `vtysh --vty_socket` takes it."""
    return folder / "router"


def frr_config(topology: Topology, bfd_interval: int) -> str:
    """The article's frr.conf for this lab: every node a neighbour, with BFD, several paths, IPv6 beside IPv4.

    `bfd_interval` in milliseconds.
    """
    router, nodes = topology.router, [str(node.ips[0]) for node in topology.nodes]
    head = _HEAD.format(hostname=router.name, router_as=ROUTER_AS, router_id=router.ips[0])
    neighbours = [
        _NEIGHBOUR.format(address=node, node_as=NODE_AS, description=node.replace(".", "-"), bfd=bfd_interval)
        for node in nodes
    ]
    activate = "\n".join(f"  neighbor {node} activate" for node in nodes)
    families = _FAMILIES.format(paths=min(len(nodes), _MOST_PATHS), activate=activate)
    return "".join([head, *neighbours, families])


async def start_frr(folder: Path, network: Network, bfd_interval: int) -> tuple[Child, ...]:
    """Start zebra, bfdd and bgpd in the router's network and wait until they answer. Raises StartFailed."""
    for daemon in ("zebra", "bfdd", "bgpd"):
        if not (_DAEMON_FOLDER / daemon).exists():
            raise StartFailed(f"--ecmp needs {_DAEMON_FOLDER / daemon}: install the Debian packages frr and bird2")
    run = run_folder(folder)
    await asyncio.to_thread(_write_files, run, frr_config(network.topology, bfd_interval))
    children = []
    for daemon in ("zebra", "bfdd", "bgpd"):
        argv = [str(_DAEMON_FOLDER / daemon), "-u", "root", "-g", "root", "-f", f"{_RUN}/{_CONFIGURATION}"]
        argv += ["-i", f"{_RUN}/{daemon}.pid", "-z", f"{_RUN}/zserv.api", "--vty_socket", _RUN, "-P", "0"]
        argv += _MORE_OPTIONS.get(daemon, ())
        program = Program(
            name=daemon,
            argv=tuple(argv),
            log=folder / "logs" / f"{daemon}.log",
            netns=network.netns(network.topology.router),
            mounts={_RUN: str(run), "/etc/group": str(run / "group")},
        )
        children.append(await start(program))
        await _wait_for_socket(run / f"{daemon}.vty", children[-1])
    return tuple(children)


def _write_files(run: Path, configuration: str) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / _CONFIGURATION).write_text(configuration)
    lines = [line for line in Path("/etc/group").read_text().splitlines() if not line.startswith(f"{_GROUP}:")]
    (run / "group").write_text("\n".join([*lines, f"{_GROUP}:x:0:root", ""]))


async def _wait_for_socket(path: Path, child: Child) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not await asyncio.to_thread(path.exists):
                if not child.is_running:
                    raise StartFailed(f"{child.program.name} ended at once; see {child.program.log}")
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise StartFailed(f"{child.program.name} does not get ready; see {child.program.log}") from None


def vtysh_command(commands: Sequence[str] = ()) -> list[str]:
    """vtysh for the router of a lab, to be run in its `run_folder`: the path of a socket holds 107 bytes."""
    return ["vtysh", "--vty_socket", ".", *(word for command in commands for word in ("-c", command))]


def run_vtysh(folder: Path, *commands: str) -> str:
    """What the router answers to these commands. Raises LabError."""
    run = run_folder(folder)
    if not run.is_dir():
        raise LabError(f"the lab in {folder} has no FRR: start it with --ecmp")
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    done = subprocess.run(
        vtysh_command(commands), cwd=run, env=environment, text=True, capture_output=True, check=False, timeout=30
    )
    if done.returncode != 0:
        raise LabError(f"vtysh: {(done.stderr or done.stdout).strip()}")
    return done.stdout
