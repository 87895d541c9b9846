"""The kernel's links, addresses and default routes: dump, watch, change. The only importer of pyroute2.

It decides nothing: planner.py does.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import rtnl
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.attributes import attribute
from lbnodeagent.kernel.ledger import Ledger
from lbnodeagent.kernel.meanwhile import Meanwhile
from lbnodeagent.kernel.messages import (
    MAIN_TABLE,
    MARK,
    MessageReader,
    Notification,
    Overrun,
    RoutesChanged,
    default_route,
    neighbour,
)
from lbnodeagent.kernel.notifications import Change, Dump, RoutesRead
from lbnodeagent.kernel.placing import NOT_FOUND, Telling, encode, result_of
from lbnodeagent.kernel.requests import decode_answers
from lbnodeagent.kernel.routefilter import attach_route_filter
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    AddressKey,
    DefaultRoute,
    IfIndex,
    Mac,
    Place,
    PresentAddress,
    Remove,
    network_of,
)
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)

_GROUPS: Final = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_ROUTE
)
_RECEIVE_BUFFER: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_METRIC: Final = 8080
"""Of our routes. Above 256, the kernel's own: with the last address of a prefix it takes the first route to it away."""
_NO_ROUTE: Final = NOT_FOUND | {errno.ESRCH}
_DUMP_ATTEMPTS: Final = 5
_AT_ONCE: Final = 64
"""Requests in one send: their answers must fit into the socket's buffer."""


class Netlink:
    """``async with Netlink() as netlink``: one socket for requests, one that watches from the start.

    ``ledger``: where our addresses are noted, on a kernel that keeps no marks; None: they carry our mark.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._requests = AsyncIPRoute()
        self._watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0
        """Of the next request: an answer that came too late is told by its number."""
        self._meanwhile: Meanwhile | None = None
        """While everything is being read."""
        self._marshal = MarshalRtnl()
        self._reader = MessageReader(ledger.holdings if ledger is not None else None)

    async def __aenter__(self) -> Self:
        self._watch.setblocking(False)
        try:
            self._watch.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            # Root of a user namespace may not exceed net.core.rmem_max; an overrun is answered by a fresh dump.
            self._watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        attach_route_filter(self._watch)
        self._watch.bind((0, _GROUPS))
        self._asking.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # answers don't repeat the question
        self._asking.settimeout(1.0)  # rtnetlink answers within the send itself; this guards against a lost answer
        self._asking.bind((0, 0))
        self._reader.own_port = self._asking.getsockname()[0]
        await self._requests.setup_endpoint()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.close()
        self._asking.close()
        self._requests.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self) -> Dump:
        """All links, addresses, default routes and routes with our mark. Raises KernelError."""
        return replace(await self._dump(), marked_routes=tuple(await self._marked_routes()))

    async def _dump(self) -> Dump:
        links = [link for message in await self._dumped("link") if (link := self._reader.link(message)) is not None]
        routes = await self._default_routes()
        self._meanwhile = Meanwhile()
        try:
            messages = await self._dumped("addr")  # the last: nothing is waited for any more
            addresses = self._meanwhile.over(self._reader.address(message, time.monotonic()) for message in messages)
        finally:
            self._meanwhile = None
        if self._ledger is not None:
            self._ledger.keep(there.key for there in addresses)
        return Dump(tuple(links), addresses, routes)

    async def _default_routes(self) -> tuple[DefaultRoute, ...]:
        messages = [
            message
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in await self._dumped("route", family=family, table=MAIN_TABLE)
        ]
        return tuple(route for message in messages if (route := default_route(message)) is not None)

    async def neighbours(self) -> dict[IPAddress, Mac]:
        """The MAC of each host beside us that the kernel knows. Raises KernelError."""
        tables = [await self._dumped("neigh", family=family) for family in (socket.AF_INET, socket.AF_INET6)]
        return dict(known for table in tables for message in table if (known := neighbour(message)) is not None)

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
        """What the kernel says from now on, in its order, as much as there is at a time. Raises KernelError."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._watch.fileno(), readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                if batch := self._receive():
                    yield await self._completed(batch)
        finally:
            loop.remove_reader(self._watch.fileno())

    async def _completed(self, batch: Sequence[Notification]) -> list[Change]:
        """With what has to be read for it; a dump makes all else old."""
        if any(isinstance(one, Overrun) for one in batch):
            log.warning("kernel notifications were lost, everything is read again")
            return [await self._dump()]
        changes: list[Change] = [one for one in batch if not isinstance(one, RoutesChanged | Overrun)]
        if len(changes) < len(batch):
            changes.append(RoutesRead(await self._default_routes()))
        return changes

    def _receive(self) -> list[Notification]:
        batch: list[Notification] = []
        now = time.monotonic()
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
                batch += self._reader.read(message, now)
        return batch

    # --- changing ----------------------------------------------------------------------------------------------------

    def change(self, changes: Sequence[Place | Remove]) -> list[PresentAddress | KernelError | None]:
        """Add, renew and remove addresses of ours, in this order; one that fails keeps no other from being tried.

        Returns for each what is there now (None: nothing), or why it failed: KernelError, AddressTaken. That an address
        to be removed is gone already is fine. The kernel does it all within the send, so nothing is waited for.
        """
        results: list[PresentAddress | KernelError | None] = []
        how: Telling = "marked"
        if self._ledger is not None:
            self._ledger.expect(changes)
            how = "noted" if self._ledger.trouble is None else "unnoted"
        for start in range(0, len(changes), _AT_ONCE):
            part = changes[start : start + _AT_ONCE]
            first = self._take_numbers(len(part))
            codes = self._ask([encode(change, how, number) for number, change in enumerate(part, first)], first)
            now = time.monotonic()
            results += (result_of(change, how, code, now) for change, code in zip(part, codes, strict=True))
        if self._ledger is not None:
            self._ledger.conclude(changes, results)
        if self._meanwhile is not None:
            self._meanwhile.note(changes, results)
        return results

    def adopt(self, adopted: Iterable[tuple[PresentAddress, str]]) -> None:
        """Addresses that the kernel has turned out to be ours; each with its interface."""
        if self._ledger is not None:
            self._ledger.adopt(adopted)

    def swept(self, present: Iterable[AddressKey]) -> None:
        """These are all the addresses of ours that are known of: what else was noted is gone, or not heard of yet."""
        if self._ledger is not None:
            self._ledger.swept(present)

    def _take_numbers(self, count: int) -> int:
        first = self._sequence
        self._sequence = (first + count) % (1 << 31)
        return first

    def _ask(self, requests: Sequence[bytes], first: int) -> list[int]:
        """Send these requests, numbered from ``first``; the errno of each answer."""
        codes: dict[int, int] = {}
        numbers = range(first, first + len(requests))
        missing = errno.ETIMEDOUT
        try:
            self._asking.send(b"".join(requests))
            while len(codes) < len(requests):
                answers = decode_answers(self._asking.recv(65536))
                codes.update((number, code) for number, code in answers if number in numbers)
        except TimeoutError:
            pass
        except OSError as error:
            missing = error.errno or errno.EIO
        return [codes.get(number, missing) for number in numbers]

    # --- routes of aggregates ----------------------------------------------------------------------------------------

    async def _marked_routes(self) -> list[tuple[IfIndex, IPNetwork]]:
        found: list[tuple[IfIndex, IPNetwork]] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in await self._dumped("route", family=family, table=MAIN_TABLE):
                index, destination = message.get_attr("RTA_OIF"), message.get_attr("RTA_DST")
                if message["proto"] == MARK and index and destination:
                    found.append((IfIndex(index), network_of(ip_address(destination), message["dst_len"])))
        return found

    async def add_marked_route(self, network: IPNetwork, index: IfIndex, expires: int = 0) -> None:
        """Have a route of ours to an interface; IPv6 ones may have a lifetime in seconds. Raises KernelError."""
        lifetime = {"RTA_EXPIRES": struct.pack("=I", expires)} if expires else {}
        await self._change_route("replace", network, index, **lifetime)

    async def delete_marked_route(self, network: IPNetwork, index: IfIndex) -> None:
        """Take it away; that it's gone already is fine. Raises KernelError."""
        await self._change_route("del", network, index)

    async def _change_route(self, verb: str, network: IPNetwork, index: IfIndex, **more: Any) -> None:
        family = socket.AF_INET if network.version == 4 else socket.AF_INET6
        arguments: dict[str, Any] = {"dst": str(network), "oif": index, "proto": MARK, "priority": _METRIC, **more}
        if network.version == 4:
            arguments["scope"] = "link"
        try:
            await self._requests.route(verb, family=family, **arguments)
        except NetlinkError as error:
            if verb == "del" and error.code in _NO_ROUTE:
                return
            raise KernelError(f"route {verb} {network}", error.code) from error

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
            self._reader.made.update(IfIndex(index) for index in indexes)
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
            if error.code not in NOT_FOUND:
                raise KernelError(f"deleting {name}", error.code) from error

    def promote_secondaries(self, index: IfIndex) -> None:
        """Have the kernel keep the other addresses of a subnet when the first of them goes. Raises KernelError.

        The sysctl ``promote_secondaries``, set through netlink because /proc/sys is read-only in a container:
        RTM_SETLINK with IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF / IPV4_DEVCONF_PROMOTE_SECONDARIES = 1.
        """
        setting = attribute(20, struct.pack("=I", 1))
        specification = attribute(26 | 0x8000, attribute(socket.AF_INET | 0x8000, attribute(1 | 0x8000, setting)))
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + specification
        number = self._take_numbers(1)
        header = struct.pack("=IHHII", 16 + len(body), rtnl.RTM_SETLINK, 0x1 | 0x4, number, 0)  # REQUEST | ACK
        (code,) = self._ask([header + body], number)
        if code:
            raise KernelError("setting promote_secondaries", code)
