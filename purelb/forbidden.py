"""Addresses that nobody may be given, because something else on the network has them, and why. Pure.

It is told which they are (a node's, the API server's, a resolver's); it must not know where that was learnt.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from purelb.addresses import AddressRange, IPAddress, reserved_in


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Addresses that are somebody's."""

    addresses: AddressRange
    reason: str
    """What follows "10.0.0.1": ``is an address of node m``."""
    is_of_node: bool = False
    """Whether a node lists it as its own."""


class Barred:
    """A set of forbidden addresses. Looking one up is O(log n), and so is finding the next that isn't barred."""

    def __init__(self, forbidden: Iterable[Forbidden] = ()) -> None:
        entries = sorted(set(forbidden), key=lambda one: (one.addresses.size, int(one.addresses.first), one.reason))
        self._entries = frozenset(entries)
        self._single: dict[IPAddress, str] = {}
        self._wide: dict[type[IPAddress], list[Forbidden]] = {IPv4Address: [], IPv6Address: []}
        """Ranges of more than one address, the smallest first: there are as many as nodes, not as addresses."""
        for entry in entries:
            if entry.addresses.size == 1:
                self._single.setdefault(entry.addresses.first, entry.reason)
            else:
                self._wide[type(entry.addresses.first)].append(entry)
        others = {entry.addresses.first for entry in entries if entry.addresses.size == 1 and not entry.is_of_node}
        self._listed = {entry.addresses.first for entry in entries if entry.is_of_node} - others
        self._spans = {
            kind: _merged(entry.addresses for entry in entries if type(entry.addresses.first) is kind)
            for kind in self._wide
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Barred) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(self._entries)

    def reason(self, address: IPAddress) -> str | None:
        """Why nobody may have ``address``; None if it may be given."""
        if (single := self._single.get(address)) is not None:
            return single
        if self.first_from(address) != int(address):
            return next(entry.reason for entry in self._wide[type(address)] if address in entry.addresses)
        reserved = reserved_in(AddressRange(address, address))
        return f"is of {reserved.network}, whose addresses {reserved.purpose}" if reserved is not None else None

    def is_listed_only(self, address: IPAddress) -> bool:
        """Whether nothing forbids ``address`` but that a node lists it."""
        if address not in self._listed:
            return False
        return not any(address in entry.addresses for entry in self._wide[type(address)])

    def first_from(self, address: IPAddress) -> int:
        """The number of the first address from this one on, it included, that isn't barred."""
        spans, number = self._spans[type(address)], int(address)
        at = bisect_right(spans, (number, 1 << 128)) - 1
        return spans[at][1] + 1 if at >= 0 and spans[at][1] >= number else number

    def within(self, addresses: AddressRange) -> list[Forbidden]:
        """What forbids addresses of a range, in their order: of the nodes' own, then of networks."""
        if self.count(addresses) == 0:
            return []
        touching = [entry for entry in self._entries if entry.addresses.overlaps(addresses)]
        return sorted(touching, key=lambda one: (one.addresses.size, int(one.addresses.first), one.reason))

    def count(self, addresses: AddressRange) -> int:
        """How many addresses of a range are barred."""
        first, last = int(addresses.first), int(addresses.last)
        spans = self._spans[type(addresses.first)]
        at = max(bisect_right(spans, (first, 1 << 128)) - 1, 0)
        count = 0
        for start, end in spans[at:]:
            if start > last:
                break
            count += max(min(end, last) - max(start, first) + 1, 0)
        return count


def _merged(ranges: Iterable[AddressRange]) -> list[tuple[int, int]]:
    """First and last number of each stretch, in order, none of which touches the next."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((int(one.first), int(one.last)) for one in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged
