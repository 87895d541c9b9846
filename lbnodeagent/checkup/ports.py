"""The sockets of this network namespace that wait at a port: who else has ours.

The kernel's socket monitoring is asked (sock_diag(7)). The tables below /proc say the same, but for those the kernel
goes through its table of all connections, sized by the machine's memory: 5 ms of processor each on one with 24 GiB that
has a dozen connections. They are for a kernel that can't be asked.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Set
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.rtnetlink import messages_in

Protocol: TypeAlias = Literal["TCP", "UDP"]

_PROC: Final = Path("/proc/net")
_SOCK_DIAG: Final = 4
"""NETLINK_SOCK_DIAG (linux/netlink.h)."""
_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_NUMBERS: Final[dict[Protocol, int]] = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}
_WAITING: Final[dict[Protocol, int]] = {"TCP": 10, "UDP": 7}
"""TCP_LISTEN, and TCP_CLOSE, which a UDP socket is in that isn't connected (net/tcp_states.h)."""
_QUESTION: Final = struct.Struct("=IHHIIBBBxI2s2x44x")
"""Header, and struct inet_diag_req_v2 (linux/inet_diag.h): family, protocol, extensions, states, our port."""
_PORT, _INODE, _LEAST = 16 + 4, 16 + 68, 16 + 72
"""Where they are in an answer (struct inet_diag_msg), and how long one is."""
_PATIENCE: Final = 1.0
_PART: Final = 65536
_MOST: Final = 4096
"""Lines of a table that are read."""


def waiting(protocol: Protocol, port: int) -> Set[int]:
    """The inodes of those sockets."""
    try:
        return {inode for family in (socket.AF_INET, socket.AF_INET6) for inode in _asked(protocol, port, family)}
    except (OSError, KernelError):
        return waiting_below(_PROC, protocol, port)


def _asked(protocol: Protocol, port: int, family: int) -> Iterator[int]:
    """Raises OSError and KernelError, for a kernel without that monitoring (CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG)."""
    number, states, wanted = _NUMBERS[protocol], 1 << _WAITING[protocol], struct.pack(">H", port)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as asking:
        asking.settimeout(_PATIENCE)
        asking.send(_QUESTION.pack(_QUESTION.size, _BY_FAMILY, _REQUEST_DUMP, 0, 0, family, number, 0, states, wanted))
        while True:
            for message in messages_in(asking.recv(_PART)):
                if message.is_end:
                    if message.errno:
                        raise KernelError("asking for sockets", message.errno)
                    return
                if len(message.data) < _LEAST:
                    raise KernelError("asking for sockets", errno.EBADMSG)
                if message.data[_PORT : _PORT + 2] == wanted:
                    (inode,) = struct.unpack_from("=I", message.data, _INODE)
                    yield inode


def waiting_below(network: Path, protocol: Protocol, port: int) -> Set[int]:
    """Likewise, of the tables in a folder such as /proc/net (proc_pid_net(5)); what can't be read is left out."""
    name, state = protocol.lower(), f"{_WAITING[protocol]:02X}"
    lines = [line.split() for table in (name, f"{name}6") for line in _lines(network / table)]
    return {int(one[9]) for one in lines if len(one) > 9 and one[3] == state and one[1].endswith(f":{port:04X}")}


def _lines(file: Path) -> list[str]:
    try:
        with file.open(errors="replace") as text:
            return list(islice(text, 1, _MOST))
    except OSError:
        return []
