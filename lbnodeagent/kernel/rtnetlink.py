"""Messages of rtnetlink about links, addresses, routes and neighbours: built, cut apart and read. No I/O.

Our requests about addresses are requests.py's; what a message means is messages.py's. Source: netlink(7), rtnetlink(7),
linux/rtnetlink.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lbnodeagent.kernel.addressmessages import DELADDR, NEWADDR, read_address
from lbnodeagent.kernel.attributes import attribute
from lbnodeagent.kernel.light_pyroute2 import NetlinkDecodeError, ifaddrmsg, ifinfmsg, ndmsg, rtmsg
from lbnodeagent.kernel.messages import MAIN_TABLE, MARK
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPNetwork

_ERROR: Final = 2
_DONE: Final = 3
_NEWLINK: Final = 16
_DELLINK: Final = 17
_GETLINK: Final = 18
_SETLINK: Final = 19
_GETADDR: Final = 22
_NEWROUTE: Final = 24
_DELROUTE: Final = 25
_GETROUTE: Final = 26
_GETNEIGH: Final = 30

_REQUEST: Final = 0x1
_ACK: Final = 0x4
_INTERRUPTED: Final = 0x10
_REPLACE: Final = 0x100
_DUMP: Final = 0x300
_EXCLUSIVE: Final = 0x200
_CREATE: Final = 0x400

_METRIC: Final = 8080
"""Of our routes. Above 256, the kernel's own: with the last address of a prefix it takes the first route to it away."""
_LINK_SCOPE: Final = 253
_UNICAST: Final = 1
_UP: Final = 0x1

_HEADER: Final = struct.Struct("=IHHII")
_DST_LEN: Final = _HEADER.size + 1
_PROTOCOL: Final = _HEADER.size + 5
"""Where these are in a message about a route (struct rtmsg)."""

_KINDS: Final[dict[int, tuple[str, Any]]] = {
    _NEWLINK: ("RTM_NEWLINK", ifinfmsg),
    _DELLINK: ("RTM_DELLINK", ifinfmsg),
    _NEWROUTE: ("RTM_NEWROUTE", rtmsg),
    _DELROUTE: ("RTM_DELROUTE", rtmsg),
    28: ("RTM_NEWNEIGH", ndmsg),
}


@dataclass(frozen=True, slots=True)
class Raw:
    """One message as it came; the length of ``data`` is its own."""

    kind: int
    flags: int
    data: bytes

    @property
    def is_interrupted(self) -> bool:
        """Whether the table that it is of changed while it was read."""
        return bool(self.flags & _INTERRUPTED)

    @property
    def is_end(self) -> bool:
        """Whether it ends the answer to a request."""
        return self.kind in (_ERROR, _DONE)

    @property
    def errno(self) -> int:
        """Of an end; 0: it's a good one."""
        (code,) = struct.unpack_from("=i", self.data, _HEADER.size) if len(self.data) >= _HEADER.size + 4 else (0,)
        return -int(code)

    @property
    def is_default_route(self) -> bool:
        """Of a route: whether it leads everywhere."""
        return self.data[_DST_LEN] == 0

    @property
    def is_marked_route(self) -> bool:
        """Of a route: whether it's one of ours."""
        return self.data[_PROTOCOL] == MARK


def messages_in(data: bytes) -> Iterator[Raw]:
    """The messages in what a socket gave."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            return
        yield Raw(kind, flags, data[at : at + length])
        at += (length + 3) & ~3


def read(messages: Iterable[Raw]) -> Iterator[Any]:
    """An AddressMessage for each about an address; of others that we know pyroute2's view, with an ``event``."""
    for raw in messages:
        try:
            message = _read(raw)
        except (NetlinkDecodeError, ValueError, struct.error):
            continue  # half a message, which the kernel doesn't send
        if message is not None:
            yield message


def _read(raw: Raw) -> Any:
    """None: we don't know it."""
    if raw.kind in (NEWADDR, DELADDR):
        return read_address(raw.data)
    if (kind := _KINDS.get(raw.kind)) is None:
        return None
    event, of_kind = kind
    message = of_kind(raw.data)
    message.decode()
    message["event"] = event
    return message


# --- questions: each is answered by a table ---------------------------------------------------------------------------


def all_links() -> bytes:
    """All links."""
    return _built(ifinfmsg(), _GETLINK, _DUMP)


def all_addresses() -> bytes:
    """All addresses."""
    return _built(ifaddrmsg(), _GETADDR, _DUMP)


def all_routes(family: int) -> bytes:
    """All routes of a family, in any table: only a kernel that was asked to be strict looks at which."""
    message = rtmsg()
    message["family"], message["table"] = family, MAIN_TABLE
    return _built(message, _GETROUTE, _DUMP)


def all_neighbours(family: int) -> bytes:
    """All neighbours of a family."""
    message = ndmsg()
    message["family"] = family
    return _built(message, _GETNEIGH, _DUMP)


# --- requests: each is answered by an errno ---------------------------------------------------------------------------


def set_route(network: IPNetwork, index: IfIndex, expires: int, number: int) -> bytes:
    """Have a route of ours to an interface; IPv6 ones may have a lifetime in seconds."""
    message = _route(network, index)
    message["type"] = _UNICAST
    if expires:
        message["attrs"].append(("RTA_EXPIRES", struct.pack("=I", expires)))
    return _built(message, _NEWROUTE, _ACK | _CREATE | _REPLACE, number)


def delete_route(network: IPNetwork, index: IfIndex, number: int) -> bytes:
    """Take it away."""
    return _built(_route(network, index), _DELROUTE, _ACK, number)


def _route(network: IPNetwork, index: IfIndex) -> Any:
    message = rtmsg()
    message["family"] = socket.AF_INET if network.version == 4 else socket.AF_INET6
    message["dst_len"], message["table"], message["proto"] = network.prefixlen, MAIN_TABLE, MARK
    message["scope"] = _LINK_SCOPE if network.version == 4 else 0
    message["attrs"] = [("RTA_DST", str(network.network_address)), ("RTA_OIF", index), ("RTA_PRIORITY", _METRIC)]
    return message


def create_link(name: str, kind: str, number: int) -> bytes:
    """Make a virtual interface."""
    message = ifinfmsg()
    message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]})]
    return _built(message, _NEWLINK, _ACK | _CREATE | _EXCLUSIVE, number)


def set_link_up(index: IfIndex, number: int, alias: str | None = None) -> bytes:
    """Set an interface up, and let it have an alias."""
    message = ifinfmsg()
    message["index"], message["flags"], message["change"] = index, _UP, _UP
    message["attrs"] = [] if alias is None else [("IFLA_IFALIAS", alias)]
    return _built(message, _NEWLINK, _ACK, number)


def delete_link(index: IfIndex, number: int) -> bytes:
    """Delete an interface."""
    message = ifinfmsg()
    message["index"] = index
    return _built(message, _DELLINK, _ACK, number)


def promote_secondaries(index: IfIndex, number: int) -> bytes:
    """Have the kernel keep the other addresses of a subnet when the first of them goes.

    The sysctl ``promote_secondaries``, set through netlink because /proc/sys is read-only in a container:
    RTM_SETLINK with IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF / IPV4_DEVCONF_PROMOTE_SECONDARIES = 1.
    """
    setting = attribute(20, struct.pack("=I", 1))
    specification = attribute(26 | 0x8000, attribute(socket.AF_INET | 0x8000, attribute(1 | 0x8000, setting)))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + specification
    return _HEADER.pack(_HEADER.size + len(body), _SETLINK, _REQUEST | _ACK, number, 0) + body


def _built(message: Any, kind: int, flags: int, number: int = 0) -> bytes:
    header = message["header"]
    header["type"], header["flags"], header["sequence_number"] = kind, _REQUEST | flags, number
    message.encode()
    return bytes(message.data)
