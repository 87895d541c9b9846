"""Asks the kernel which way a packet takes, and what it drops: as packets are treated, policy routing and all."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from typing import Final

from lbnodeagent.kernel.attributes import attribute

_FAR: Final = "198.51.100.1"
"""A client in another subnet than any of the node's: of the addresses for documentation (RFC 5737)."""
SIOCGIFADDR: Final = 0x8915
SIOCGIFMTU: Final = 0x8921
SIOCGIFHWADDR: Final = 0x8927
_RTM_GETROUTE: Final = 26
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_RTA_DST, _RTA_SRC, _RTA_IIF = 1, 2, 3


def drops_far(name: str) -> bool:
    """Whether the kernel drops a packet from far that comes in there for the node's own address, and none from near.

    It's asked as ``ip route get ADDRESS from SOURCE iif NAME`` does, so that policy routing counts as it does for
    packets. Linux says EXDEV, a newer one EINVAL.
    """
    answer = ask_of_interface(name, SIOCGIFADDR)
    if not answer:
        return False
    own = answer[20:24]
    near = own[:3] + bytes([own[3] ^ 1])
    return _refuses(name, own, socket.inet_aton(_FAR)) and not _refuses(name, own, near)


def _refuses(name: str, own: bytes, source: bytes) -> bool:
    """Whether a packet from ``source`` to ``own`` is dropped that comes in by interface ``name``."""
    try:
        index = socket.if_nametoindex(name)
        values = (_RTA_DST, own), (_RTA_SRC, source), (_RTA_IIF, struct.pack("=I", index))
        message = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 32, 0, 0, 0, 0, 0, 0)
        message += b"".join(attribute(kind, value) for kind, value in values)
        header = struct.pack("=IHHII", 16 + len(message), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
            kernel.settimeout(1.0)
            kernel.send(header + message)
            reply = kernel.recv(4096)
    except OSError:
        return False
    kind = struct.unpack_from("=H", reply, 4)[0]
    return kind == _NLMSG_ERROR and -struct.unpack_from("=i", reply, 16)[0] in (errno.EXDEV, errno.EINVAL)


def ask_of_interface(name: str, what: int) -> bytes:
    """netdevice(7); nothing where there's no such thing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            answer: bytes = fcntl.ioctl(asking, what, struct.pack("16s24x", name.encode()[:15]))
        except OSError:
            return b""
    return answer
