"""Keeps ``present`` true to what the kernel notifies of, and says what that means. Pure; it changes nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from lbnodeagent.kernel.notifications import (
    AddressGone,
    AddressSeen,
    Change,
    Dump,
    LinkGone,
    LinkSeen,
    RoutesRead,
)
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import PresentAddress
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class TakenAway:
    """An address went, of ours or the node's own, and not by our doing."""

    address: PresentAddress
    by: int
    """The netlink port of who asked for it; 0: the kernel, or unknown."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What changes mean."""

    touched: frozenset[IPAddress]
    """These addresses came, went or changed."""
    surroundings: bool
    """Links, routes or the node's own addresses changed: every VIP's place may have."""
    taken_away: tuple[TakenAway, ...] = ()


def note(changes: Iterable[Change], present: Present) -> Noted:
    """Bring ``present`` up to date with what the kernel says, in its order."""
    touched: set[IPAddress] = set()
    taken_away: list[TakenAway] = []
    surroundings = False
    for change in changes:
        match change:
            case LinkSeen(link):
                surroundings |= present.set_link(link)
            case LinkGone(index):
                touched |= present.drop_link(index)
                surroundings = True
            case AddressSeen(there):
                if present.set_address(there):
                    touched.add(there.address)
                    surroundings |= not there.is_ours
            case AddressGone(index, address, prefix_length, by, is_own_doing):
                touched.add(address)
                gone = present.drop_address(index, address, prefix_length)
                if gone is not None and not is_own_doing:
                    taken_away.append(TakenAway(gone, by))
                surroundings |= gone is not None and not gone.is_ours
            case RoutesRead(routes):
                surroundings |= present.set_routes(routes)
            case Dump():
                read(change, present)
                surroundings = True
            case _:
                assert_never(change)
    return Noted(frozenset(touched), surroundings, tuple(taken_away))


def read(dump: Dump, present: Present) -> None:
    """Have ``present`` say what a dump says, and nothing else."""
    for index in set(present.links) - {link.index for link in dump.links}:
        present.drop_link(index)
    known = {there.key for there in dump.addresses}
    for there in list(present.all()):
        if there.key not in known:
            present.drop_address(there.index, there.address, there.prefix_length)
    for link in dump.links:
        present.set_link(link)
    for address in dump.addresses:
        present.set_address(address)
    present.set_routes(dump.routes)
