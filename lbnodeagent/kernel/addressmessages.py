"""What the kernel says of one address: RTM_NEWADDR and RTM_DELADDR, read from their bytes. No I/O.

Read here because each renewal of each VIP brings one: a library that reads any message takes five times as long.
Source: rtnetlink(7), linux/if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from lbnodeagent.kernel.attributes import attributes
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

NEWADDR: Final = 20
DELADDR: Final = 21
INFINITE: Final = 0xFFFFFFFF
"""A lifetime without an end."""

ADDRESS: Final = 1
LOCAL: Final = 2
LABEL: Final = 3
CACHEINFO: Final = 6
FLAGS: Final = 8
PROTO: Final = 11

_MESSAGE: Final = struct.Struct("=IHHIIBBBBI")
"""Header (length, type, flags, sequence, port) and struct ifaddrmsg (family, prefix length, flags, scope, index)."""
_TWO: Final = struct.Struct("=II")
_ONE: Final = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class AddressMessage:
    """One message; lifetimes in seconds."""

    is_gone: bool
    by: int
    """The netlink port of who asked for it; 0: the kernel."""
    index: IfIndex
    address: IPAddress
    prefix_length: int
    flags: int
    valid: int = INFINITE
    preferred: int = INFINITE
    proto: int | None = None
    """Who made it, in the kernel's words; None: the kernel keeps no such mark."""
    label: str | None = None


def read_address(data: bytes) -> AddressMessage | None:
    """``data`` is one whole message of these two types; None: an address of another family than IPv4 and IPv6."""
    _, kind, _, _, port, family, prefix_length, flags, _, index = _MESSAGE.unpack_from(data)
    said = attributes(data[_MESSAGE.size :])
    packed = said.get(LOCAL) or said.get(ADDRESS)
    if family not in (socket.AF_INET, socket.AF_INET6) or packed is None:
        return None
    preferred, valid = _TWO.unpack_from(said[CACHEINFO]) if CACHEINFO in said else (INFINITE, INFINITE)
    return AddressMessage(
        is_gone=kind == DELADDR,
        by=port,
        index=IfIndex(index),
        address=ip_address(packed),
        prefix_length=prefix_length,
        flags=_ONE.unpack_from(said[FLAGS])[0] if FLAGS in said else flags,
        valid=valid,
        preferred=preferred,
        proto=said[PROTO][0] if PROTO in said else None,
        label=said[LABEL].rstrip(b"\0").decode(errors="replace") if LABEL in said else None,
    )
