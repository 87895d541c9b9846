"""The kernel's links, addresses and default routes: dump, watch, change. The only importer of pyroute2.

Addresses that we add carry our mark, so that a later run knows them from an operator's: IFA_PROTO (Linux 5.18 on).
On an older kernel the mark is a combination nobody else uses: no prefix route, no preferred lifetime and a short valid
one; on a dummy interface that we made, everything of global scope. It decides nothing: planner.py does.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Self, TypeAlias

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import rtnl
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from lbnodeagent.errors import AddressTaken, KernelError
from lbnodeagent.planner import DUMMY_ALIAS
from lbnodeagent.tables import FOREVER, DefaultRoute, IfIndex, Link, Mac, PresentAddress, Spot, network_of
from purelb.addresses import Family, IPAddress

MARK: Final = 80
"""IFA_PROTO of our addresses (RFC-less; 0 to 3 are the kernel's). ``80 purelb`` in rt_addrprotos names it."""
_MARK_LIFETIME: Final = 600
"""Seconds; on kernels without IFA_PROTO an address of ours never has longer to live than this."""

_EXPIRY_SLACK: Final = 2
"""Seconds by which the kernel is late with IPv4 (it looks at whole seconds, rounded up): 20.9 to 21.7 s for 20 seen."""
_INFINITE: Final = 0xFFFFFFFF
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_NOARP: Final = 0x80
_IFF_LOWER_UP: Final = 0x10000
_F_SECONDARY: Final = 0x01  # IPv4; of IPv6 it says "temporary"
_F_NODAD: Final = 0x02
_F_DADFAILED: Final = 0x08
_F_DEPRECATED: Final = 0x20
_F_TENTATIVE: Final = 0x40
_F_NOPREFIXROUTE: Final = 0x200
_MAIN_TABLE: Final = 254
_UNICAST: Final = 1
_GROUPS: Final = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_ROUTE
)
_RECEIVE_BUFFER: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33
_SO_ATTACH_FILTER: Final = 26
_NOT_FOUND: Final = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENOENT, errno.ENXIO})
_DUMP_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class LinkSeen:
    link: Link


@dataclass(frozen=True, slots=True)
class LinkGone:
    index: IfIndex


@dataclass(frozen=True, slots=True)
class AddressSeen:
    address: PresentAddress


@dataclass(frozen=True, slots=True)
class AddressGone:
    index: IfIndex
    address: IPAddress
    prefix_length: int


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """A default route came, went, or may have: read them again."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """The kernel dropped notifications: read everything again."""


Change: TypeAlias = LinkSeen | LinkGone | AddressSeen | AddressGone | RoutesChanged | Overrun


@dataclass(frozen=True, slots=True)
class Dump:
    """Everything, at one moment."""

    links: list[Link]
    addresses: list[PresentAddress]
    routes: list[DefaultRoute]


class Netlink:
    """``async with Netlink() as netlink``: one socket for requests, one that watches from the start."""

    def __init__(self) -> None:
        self._requests = AsyncIPRoute()
        self._watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._marshal = MarshalRtnl()
        self._made: set[IfIndex] = set()
        self.has_marks = kernel_version(os.uname().release) >= (5, 18)
        """Whether this kernel keeps IFA_PROTO."""

    async def __aenter__(self) -> Self:
        self._watch.setblocking(False)
        try:
            self._watch.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            # Root of a user namespace may not exceed net.core.rmem_max; an overrun is answered by a fresh dump.
            self._watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        _attach_route_filter(self._watch)
        self._watch.bind((0, _GROUPS))
        await self._requests.setup_endpoint()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.close()
        self._requests.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def dump(self) -> Dump:
        """All links, addresses and default routes. Raises KernelError."""
        links = [link for message in await self._dumped("link") if (link := self._link(message)) is not None]
        addresses = [self._address(message) for message in await self._dumped("addr")]
        return Dump(links, addresses, await self.default_routes())

    async def default_routes(self) -> list[DefaultRoute]:
        """The default routes of the main table. Raises KernelError."""
        messages = [
            message
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in await self._dumped("route", family=family, table=_MAIN_TABLE)
        ]
        return [route for message in messages if (route := _default_route(message)) is not None]

    async def _dumped(self, what: str, **query: Any) -> list[Any]:
        """A whole table, read again when it changed meanwhile (NLM_F_DUMP_INTR)."""
        for attempt in range(_DUMP_ATTEMPTS):
            try:
                return [message async for message in await getattr(self._requests, what)("dump", **query)]
            except NetlinkDumpInterrupted:
                await asyncio.sleep(0.01 * attempt)
            except NetlinkError as error:
                raise KernelError(f"reading {what}", error.code) from error
        raise KernelError(f"reading {what}", errno.EINTR)

    async def changes(self) -> AsyncIterator[list[Change]]:
        """What the kernel says from now on, in its order, as much as there is at a time."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._watch.fileno(), readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                if batch := self._receive():
                    yield batch
        finally:
            loop.remove_reader(self._watch.fileno())

    def _receive(self) -> list[Change]:
        batch: list[Change] = []
        for _ in range(512):
            try:
                data = self._watch.recv(65536)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                batch.append(Overrun())
                continue
            for message in self._marshal.parse(data):
                batch += self._change(message)
        return batch

    def _change(self, message: Any) -> Iterable[Change]:
        match message.get("event"):
            case "RTM_NEWLINK":
                link = self._link(message)
                if link is not None:
                    yield LinkSeen(link)
                    if not link.is_up:
                        yield RoutesChanged()  # the kernel drops IPv4 routes of a link that goes down in silence
            case "RTM_DELLINK" if message.get("family") == socket.AF_UNSPEC:
                yield LinkGone(IfIndex(message["index"]))
                yield RoutesChanged()
            case "RTM_NEWADDR":
                yield AddressSeen(self._address(message))
            case "RTM_DELADDR":
                gone = self._address(message)
                yield AddressGone(gone.index, gone.address, gone.prefix_length)
                if not gone.is_ours:
                    yield RoutesChanged()  # likewise with the routes that used it as their source
            case "RTM_NEWROUTE" | "RTM_DELROUTE":
                if message["dst_len"] == 0:
                    yield RoutesChanged()

    def _link(self, message: Any) -> Link | None:
        if message.get("family") != socket.AF_UNSPEC:
            return None  # a bridge's view of its port
        info = message.get_attr("IFLA_LINKINFO")
        mac = message.get_attr("IFLA_ADDRESS") or ""
        flags = message["flags"]
        link = Link(
            index=IfIndex(message["index"]),
            name=message.get_attr("IFLA_IFNAME"),
            kind=info.get_attr("IFLA_INFO_KIND") if info is not None else None,
            mac=Mac(bytes.fromhex(mac.replace(":", ""))) if len(mac) == 17 else None,
            is_up=bool(flags & _IFF_UP),
            has_carrier=bool(flags & _IFF_LOWER_UP),
            is_loopback=bool(flags & _IFF_LOOPBACK),
            has_neighbours=not flags & _IFF_NOARP,
            alias=message.get_attr("IFLA_IFALIAS") or "",
        )
        if link.alias == DUMMY_ALIAS:
            self._made.add(link.index)
        return link

    def _address(self, message: Any) -> PresentAddress:
        address = ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
        flags = message.get_attr("IFA_FLAGS")
        flags = message["flags"] if flags is None else flags
        cache = message.get_attr("IFA_CACHEINFO") or {"ifa_valid": _INFINITE, "ifa_preferred": _INFINITE}
        valid = cache["ifa_valid"]
        index = IfIndex(message["index"])
        if self.has_marks:
            is_ours = message.get_attr("IFA_PROTO") == MARK
        elif index in self._made:
            is_ours = not address.is_link_local
        else:
            is_ours = bool(flags & _F_NOPREFIXROUTE) and cache["ifa_preferred"] == 0 and valid <= _MARK_LIFETIME
        return PresentAddress(
            index=index,
            address=address,
            prefix_length=message["prefixlen"],
            is_ours=is_ours,
            is_secondary=address.version == 4 and bool(flags & _F_SECONDARY),
            no_prefix_route=bool(flags & _F_NOPREFIXROUTE),
            is_usable=not flags & (_F_TENTATIVE | _F_DADFAILED | _F_DEPRECATED),
            expires=FOREVER if valid == _INFINITE else time.monotonic() + valid,
        )

    # --- changing ----------------------------------------------------------------------------------------------------

    async def place(self, vip: IPAddress, spot: Spot, *, is_renewal: bool) -> PresentAddress:
        """Put an address of ours on an interface, or give it a new lifetime. Raises KernelError, AddressTaken.

        It answers at once: IPv6 goes without duplicate address detection, which would keep it silent for a second; and
        as its preferred lifetime is 0, the node doesn't take it as a source of its own (RFC 6724 rule 3).
        """
        lifetime = spot.addressing.valid_lifetime
        valid = lifetime - _EXPIRY_SLACK if lifetime else _INFINITE
        preferred = spot.addressing.preferred_lifetime or valid
        if spot.is_local and (vip.version == 6 or not self.has_marks):
            preferred = 0
        flags = _F_NOPREFIXROUTE if spot.addressing.no_prefix_route else 0
        arguments: dict[str, Any] = {
            "index": spot.index,
            "family": socket.AF_INET if vip.version == 4 else socket.AF_INET6,
            "address": str(vip),
            "prefixlen": spot.prefix_length,
            "flags": flags | _F_NODAD if vip.version == 6 else flags,
            "valid": valid,
            "preferred": min(preferred, valid),
        }
        if self.has_marks:
            arguments["proto"] = MARK
        if vip.version == 4 and spot.prefix_length < 31:
            arguments["broadcast"] = str(network_of(vip, spot.prefix_length).broadcast_address)
        try:
            # "add" fails if the address is there, so that a first placement never takes over somebody else's.
            await self._requests.addr("replace" if is_renewal else "add", **arguments)
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                raise AddressTaken(f"adding {vip} to {spot.interface}", error.code) from error
            raise KernelError(f"adding {vip} to {spot.interface}", error.code) from error
        return PresentAddress(
            index=spot.index,
            address=vip,
            prefix_length=spot.prefix_length,
            is_ours=True,
            is_secondary=True,  # until the kernel's own notification says otherwise
            no_prefix_route=spot.addressing.no_prefix_route,
            expires=time.monotonic() + valid if lifetime else FOREVER,
        )

    async def remove(self, vip: IPAddress, index: IfIndex, prefix_length: int) -> None:
        """Take an address away; that it's gone already is fine. Raises KernelError."""
        try:
            await self._requests.addr("del", index=index, address=str(vip), prefixlen=prefix_length)
        except NetlinkError as error:
            if error.code not in _NOT_FOUND:
                raise KernelError(f"removing {vip}", error.code) from error

    async def create_dummy(self, name: str) -> str:
        """Make the dummy interface, set it up, and return its kind. Raises KernelError.

        ``dummy``, or where the kernel has no such driver ``ifb``, which looks the same.
        """
        kind = "dummy"
        try:
            await self._requests.link("add", ifname=name, kind=kind)
        except NetlinkError as error:
            if error.code != errno.EOPNOTSUPP:
                raise KernelError(f"creating {name}", error.code) from error
            kind = "ifb"
            try:
                await self._requests.link("add", ifname=name, kind=kind)
            except NetlinkError as second:
                raise KernelError(f"creating {name}", second.code) from second
        try:
            indexes = await self._requests.link_lookup(ifname=name)
            self._made.update(IfIndex(index) for index in indexes)
            await self._requests.link("set", index=indexes[0], ifalias=DUMMY_ALIAS, state="up")
        except (NetlinkError, IndexError) as error:
            raise KernelError(f"setting up {name}", getattr(error, "code", errno.ENODEV)) from error
        return kind

    async def set_up(self, index: IfIndex, name: str) -> None:
        """Set an interface up. Raises KernelError."""
        try:
            await self._requests.link("set", index=index, state="up")
        except NetlinkError as error:
            raise KernelError(f"setting {name} up", error.code) from error

    async def delete_link(self, index: IfIndex, name: str) -> None:
        """Delete an interface. Raises KernelError."""
        try:
            await self._requests.link("del", index=index)
        except NetlinkError as error:
            if error.code not in _NOT_FOUND:
                raise KernelError(f"deleting {name}", error.code) from error

    def promote_secondaries(self, index: IfIndex) -> None:
        """Have the kernel keep the other addresses of a subnet when the first of them goes. Raises KernelError.

        The sysctl ``promote_secondaries``, set through netlink because /proc/sys is read-only in a container:
        RTM_SETLINK with IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF / IPV4_DEVCONF_PROMOTE_SECONDARIES = 1.
        """
        setting = _attribute(20, struct.pack("=I", 1))
        specification = _attribute(26 | 0x8000, _attribute(socket.AF_INET | 0x8000, _attribute(1 | 0x8000, setting)))
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + specification
        header = struct.pack("=IHHII", 16 + len(body), rtnl.RTM_SETLINK, 0x1 | 0x4, 1, 0)  # REQUEST | ACK
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as request:
            request.settimeout(1.0)  # rtnetlink answers within the send itself; this guards against a lost answer
            request.send(header + body)
            code = -struct.unpack_from("=i", request.recv(4096), 16)[0]
        if code:
            raise KernelError("setting promote_secondaries", code)


def _attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to 4 bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def _default_route(message: Any) -> DefaultRoute | None:
    """The default route that a message stands for; None for any other route."""
    if message["dst_len"] != 0 or message["type"] != _UNICAST:
        return None
    table = message.get_attr("RTA_TABLE")
    if (message["table"] if table is None else table) != _MAIN_TABLE:
        return None
    hops = message.get_attr("RTA_MULTIPATH")
    indexes = [hop["oif"] for hop in hops] if hops else [message.get_attr("RTA_OIF")]
    return DefaultRoute(
        family=Family.IPV4 if message["family"] == socket.AF_INET else Family.IPV6,
        metric=message.get_attr("RTA_PRIORITY") or 0,
        interfaces=tuple(IfIndex(index) for index in indexes if index),
    )


def kernel_version(release: str) -> tuple[int, int]:
    """Major and minor number of a kernel release such as ``5.10.0-27-amd64``."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _attach_route_filter(watch: socket.socket) -> None:
    """Let no notification of a route through but those of default routes.

    Routing software may change thousands of routes a second; a classic BPF program drops them in the kernel:
    nlmsg_type (offset 4) is RTM_NEWROUTE or RTM_DELROUTE, and rtm_dst_len (offset 17) isn't 0.
    """
    ldh, ldb, jeq, ret = 0x28, 0x30, 0x15, 0x06
    program = [
        (ldh, 0, 0, 4),
        (jeq, 1, 0, socket.htons(rtnl.RTM_NEWROUTE)),
        (jeq, 0, 2, socket.htons(rtnl.RTM_DELROUTE)),
        (ldb, 0, 0, 17),
        (jeq, 0, 1, 0),
        (ret, 0, 0, 0xFFFFFFFF),
        (ret, 0, 0, 0),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    watch.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
