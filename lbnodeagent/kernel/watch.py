"""Keeps ``present`` true to the kernel, and says what its changes mean. It changes nothing in the kernel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from lbnodeagent.kernel.messages import AddressGone, AddressSeen, Change, LinkGone, LinkSeen, Overrun, RoutesChanged
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import PresentAddress
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what the kernel's changes mean."""

    vips_touched: Callable[[Iterable[IPAddress]], None]
    """These addresses came, went or changed."""
    surroundings_changed: Callable[[], None]
    """Links, routes or the node's own addresses changed: every VIP's place may have."""
    vip_removed: Callable[[PresentAddress, int], None]
    """An address of ours was taken away, and not by us; with the netlink port of who did, 0 if that is unknown."""


class Watch:
    """``read`` once, then ``follow``."""

    def __init__(self, netlink: Netlink, present: Present, listeners: Listeners) -> None:
        self._netlink = netlink
        self._present = present
        self._listeners = listeners

    async def read(self) -> None:
        """Read everything. Raises KernelError."""
        dump = await self._netlink.dump()
        for index in set(self._present.links) - {link.index for link in dump.links}:
            self._present.drop_link(index)
        known = {(there.index, there.address, there.prefix_length) for there in dump.addresses}
        for there in list(self._present.all()):
            if (there.index, there.address, there.prefix_length) not in known:
                self._present.drop_address(there.index, there.address, there.prefix_length)
        for link in dump.links:
            self._present.set_link(link)
        for address in dump.addresses:
            self._present.set_address(address)
        self._present.set_routes(dump.routes)

    async def follow(self) -> None:
        """Note what the kernel says, until cancelled."""
        async for changes in self._netlink.changes():
            if any(isinstance(change, Overrun) for change in changes):
                log.warning("kernel notifications were lost, everything is read again")
                await self.read()
                self._listeners.surroundings_changed()
                continue
            touched: set[IPAddress] = set()
            surroundings = False
            for change in changes:
                vips, is_surrounding = self._note(change)
                touched |= vips
                surroundings = surroundings or is_surrounding
            if any(isinstance(change, RoutesChanged) for change in changes):
                surroundings = self._present.set_routes(await self._netlink.default_routes()) or surroundings
            self._listeners.vips_touched(touched)
            if surroundings:
                self._listeners.surroundings_changed()

    def _note(self, change: Change) -> tuple[set[IPAddress], bool]:
        """The addresses that a change is about, and whether it changes the surroundings of all."""
        match change:
            case LinkSeen(link):
                return set(), self._present.set_link(link)
            case LinkGone(index):
                return self._present.drop_link(index), True
            case AddressSeen(there):
                if not self._present.set_address(there):
                    return set(), False
                return {there.address}, not there.is_ours
            case AddressGone(index, address, prefix_length, by):
                gone = self._present.drop_address(index, address, prefix_length)
                if gone is not None and gone.is_ours:
                    self._listeners.vip_removed(gone, by)
                return {address}, gone is not None and not gone.is_ours
            case RoutesChanged() | Overrun():
                return set(), False
            case _:
                assert_never(change)
