"""Asks the kernel which way a packet takes, and what it drops: as packets are treated, policy routing and all."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from ipaddress import IPv4Address
from typing import Final

from lbnodeagent.kernel.attributes import attribute, attributes

_FAR: Final = "198.51.100.1"
"""A client in another subnet than any of the node's: of the addresses for documentation (RFC 5737)."""
SIOCGIFADDR: Final = 0x8915
SIOCGIFMTU: Final = 0x8921
SIOCGIFHWADDR: Final = 0x8927
_RTM_GETROUTE: Final = 26
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_RTM_NEWROUTE: Final = 24
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_MARK = 1, 2, 3, 4, 16
_HEADERS: Final = 16 + 12
"""Bytes of nlmsghdr and rtmsg, before the attributes."""


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


def leaves_by(client: IPv4Address, mark: int = 0) -> str | None:
    """The interface by which an answer to ``client`` leaves; None where there is no way, or it can't be told.

    As ``ip route get CLIENT mark MARK`` says: the answers of pods are routed by that, before the VIP is their source
    again.
    """
    try:
        reply = _ask_for_route((_RTA_DST, client.packed), (_RTA_MARK, struct.pack("=I", mark)))
        if _kind_of(reply) != _RTM_NEWROUTE:
            return None
        index = attributes(reply[_HEADERS:]).get(_RTA_OIF)
        return socket.if_indextoname(struct.unpack("=I", index)[0]) if index is not None else None
    except OSError:
        return None


def _refuses(name: str, own: bytes, source: bytes) -> bool:
    """Whether a packet from ``source`` to ``own`` is dropped that comes in by interface ``name``."""
    try:
        index = socket.if_nametoindex(name)
        reply = _ask_for_route((_RTA_DST, own), (_RTA_SRC, source), (_RTA_IIF, struct.pack("=I", index)))
    except OSError:
        return False
    return _kind_of(reply) == _NLMSG_ERROR and -struct.unpack_from("=i", reply, 16)[0] in (errno.EXDEV, errno.EINVAL)


def _ask_for_route(*values: tuple[int, bytes]) -> bytes:
    """The kernel's answer, with its header. Raises OSError."""
    prefixes = [32 if any(kind == wanted for kind, _ in values) else 0 for wanted in (_RTA_DST, _RTA_SRC)]
    message = struct.pack("=BBBBBBBBI", socket.AF_INET, *prefixes, 0, 0, 0, 0, 0, 0)
    message += b"".join(attribute(kind, value) for kind, value in values)
    header = struct.pack("=IHHII", 16 + len(message), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
        kernel.settimeout(1.0)
        kernel.send(header + message)
        return kernel.recv(4096)


def _kind_of(reply: bytes) -> int:
    kind: int = struct.unpack_from("=H", reply, 4)[0]
    return kind


def ask_of_interface(name: str, what: int) -> bytes:
    """netdevice(7); nothing where there's no such thing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            answer: bytes = fcntl.ioctl(asking, what, struct.pack("16s24x", name.encode()[:15]))
        except OSError:
            return b""
    return answer
