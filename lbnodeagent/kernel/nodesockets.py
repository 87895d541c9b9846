"""What this node's network namespace shows of the programs in it: their sockets, and the process behind a netlink port.

An agent in a pod sees no processes of the node, but it shares the network namespace, whose tables of sockets anyone in
it may read (proc_pid_net(5)). Owns reading; what it says of who takes addresses away: addressmanagers.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
_NETLINK_ROUTE: Final = "0"
_DHCP_CLIENT: Final = "00000000:0044"
"""Any address, port 68."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What the namespace shows."""

    listeners: Mapping[int, int] = field(default_factory=dict)
    """The ports of rtnetlink sockets, and to which multicast groups they listen: RTMGRP_* bits (rtnetlink(7))."""
    unix: frozenset[str] = frozenset()
    """Paths of Unix sockets."""
    has_open_dhcp_client: bool = False
    """Something waits at port 68 of any address: a DHCP client that goes on before it has an address, and after."""


def read_sockets(network: Path = _PROC / "net") -> Sockets:
    """The sockets of our network namespace; what can't be read is left out."""
    netlink = [fields for line in _lines(network / "netlink") if len(fields := line.split()) > 3]
    unix = [fields[7] for line in _lines(network / "unix") if len(fields := line.split()) > 7]
    local = {fields[1] for line in _lines(network / "udp") if len(fields := line.split()) > 1}
    return Sockets(
        {int(port): int(groups, 16) for _, protocol, port, groups, *_ in netlink if protocol == _NETLINK_ROUTE},
        frozenset(unix),
        _DHCP_CLIENT in local,
    )


def read_process(pid: int) -> str | None:
    """The name of a process of the node; None if it's gone, or if it can't be the one whose netlink port is ``pid``.

    A program's port is its process id as its own PID namespace counts (netlink(7)). So it tells nothing to an agent
    that doesn't see the node's processes, and nothing of a program in a container: that number is another's here.
    """
    try:
        if os.readlink(_PROC / "self/ns/pid") != _INITIAL_PID_NAMESPACE:  # noqa: PTH115
            return None
        process = _PROC / str(pid)
        status = dict(
            line.split(":", 1) for line in (process / "status").read_text(errors="replace").splitlines() if ":" in line
        )
        # One such file for each network namespace, and any process may see whose it is.
        is_of_our_network = (process / "net/netlink").stat().st_ino == (_PROC / "self/net/netlink").stat().st_ino
        return status["Name"].strip() if is_of_our_network and status["NSpid"].split() == [str(pid)] else None
    except OSError:
        return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()[1:]
    except OSError:
        return []
