"""The kernel's links, addresses and default routes: dump, watch, change. It decides nothing: planner.py does."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Self

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel import rtnetlink
from lbnodeagent.kernel.ledger import Ledger
from lbnodeagent.kernel.meanwhile import Meanwhile
from lbnodeagent.kernel.messages import (
    MessageReader,
    Notification,
    Overrun,
    RoutesChanged,
    default_route,
    marked_route,
    neighbour,
)
from lbnodeagent.kernel.notifications import Change, Dump, RoutesRead
from lbnodeagent.kernel.placing import NOT_FOUND, Telling, encode, result_of
from lbnodeagent.kernel.reading import read_table
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
)
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)

_GROUPS: Final = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""Notifications of links, of addresses and of routes of both families (RTMGRP_*, linux/rtnetlink.h)."""
_RECEIVE_BUFFER: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_NO_ROUTE: Final = NOT_FOUND | {errno.ESRCH}
_AT_ONCE: Final = 64
"""Requests in one send: their answers must fit into the socket's buffer."""


class Netlink:
    """``async with Netlink() as netlink``: one socket for requests, one that watches from the start.

    ``ledger``: where our addresses are noted, on a kernel that keeps no marks; None: they carry our mark.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0
        """Of the next request: an answer that came too late is told by its number."""
        self._meanwhile: Meanwhile | None = None
        """While everything is being read."""
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
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.close()
        self._asking.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self) -> Dump:
        """All links, addresses, default routes and routes with our mark. Raises KernelError."""
        return replace(await self._dump(), marked_routes=tuple(await self._marked_routes()))

    async def _dump(self) -> Dump:
        read = await read_table("links", rtnetlink.all_links())
        links = [link for message in read if (link := self._reader.link(message)) is not None]
        routes = await self._default_routes()
        self._meanwhile = Meanwhile()
        try:
            messages = await read_table(
                "addresses", rtnetlink.all_addresses()
            )  # the last: nothing is waited for any more
            addresses = self._meanwhile.over(self._reader.address(message, time.monotonic()) for message in messages)
        finally:
            self._meanwhile = None
        if self._ledger is not None:
            self._ledger.keep(there.key for there in addresses)
        return Dump(tuple(links), addresses, routes)

    async def _default_routes(self) -> tuple[DefaultRoute, ...]:
        messages = [
            message
            for family in _FAMILIES
            for message in await read_table("routes", rtnetlink.all_routes(family), lambda raw: raw.is_default_route)
        ]
        return tuple(route for message in messages if (route := default_route(message)) is not None)

    async def neighbours(self) -> dict[IPAddress, Mac]:
        """The MAC of each host beside us that the kernel knows. Raises KernelError."""
        tables = [await read_table("neighbours", rtnetlink.all_neighbours(family)) for family in _FAMILIES]
        return dict(known for table in tables for message in table if (known := neighbour(message)) is not None)

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
            for message in rtnetlink.read(rtnetlink.messages_in(data)):
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
        for family in _FAMILIES:
            table = await read_table("routes", rtnetlink.all_routes(family), lambda raw: raw.is_marked_route)
            found += (route for message in table if (route := marked_route(message)) is not None)
        return found

    def add_marked_route(self, network: IPNetwork, index: IfIndex, expires: int = 0) -> None:
        """Have a route of ours to an interface; IPv6 ones may have a lifetime in seconds. Raises KernelError."""
        if code := self._request(partial(rtnetlink.set_route, network, index, expires)):
            raise KernelError(f"adding the route {network}", code)

    def delete_marked_route(self, network: IPNetwork, index: IfIndex) -> None:
        """Take it away; that it's gone already is fine. Raises KernelError."""
        code = self._request(partial(rtnetlink.delete_route, network, index))
        if code and code not in _NO_ROUTE:
            raise KernelError(f"deleting the route {network}", code)

    # --- links -------------------------------------------------------------------------------------------------------

    def create_dummy(self, name: str) -> str:
        """Make the dummy interface, set it up, and return its kind. Raises KernelError.

        ``dummy``, or where the kernel has no such driver ``ifb``, which looks the same.
        """
        kind = "dummy"
        code = self._request(partial(rtnetlink.create_link, name, kind))
        if code == errno.EOPNOTSUPP:
            kind = "ifb"
            code = self._request(partial(rtnetlink.create_link, name, kind))
        if code:
            raise KernelError(f"creating {name}", code)
        try:
            index = IfIndex(socket.if_nametoindex(name))
        except OSError:
            raise KernelError(f"setting up {name}", errno.ENODEV) from None
        self._reader.made.add(index)
        if code := self._request(partial(rtnetlink.set_link_up, index, alias=DUMMY_ALIAS)):
            raise KernelError(f"setting up {name}", code)
        return kind

    def set_up(self, index: IfIndex, name: str) -> None:
        """Set an interface up. Raises KernelError."""
        if code := self._request(partial(rtnetlink.set_link_up, index)):
            raise KernelError(f"setting {name} up", code)

    def delete_link(self, index: IfIndex, name: str) -> None:
        """Delete an interface; that it's gone already is fine. Raises KernelError."""
        code = self._request(partial(rtnetlink.delete_link, index))
        if code and code not in NOT_FOUND:
            raise KernelError(f"deleting {name}", code)

    def promote_secondaries(self, index: IfIndex) -> None:
        """Have the kernel keep the other addresses of a subnet when the first of them goes. Raises KernelError."""
        if code := self._request(partial(rtnetlink.promote_secondaries, index)):
            raise KernelError("setting promote_secondaries", code)

    def _request(self, encode: Callable[..., bytes]) -> int:
        """The errno that one request is answered with; ``encode`` is given its number."""
        number = self._take_numbers(1)
        (code,) = self._ask([encode(number=number)], number)
        return code
