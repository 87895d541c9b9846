"""The value of ``purelb.io/announcing-IPv4`` and ``-IPv6``: which node announces which address on a NIC. Pure.

There are two forms, and either is read. PureLB v0.6.1's ``node,interface`` has room for one address; v0.17's has an
entry ``node,interface,ip`` for each, sorted by address and divided by blanks. Several addresses of one family, which
only v0.17 gives, are always written in its form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError

Form: TypeAlias = Literal["v1", "v2"]
"""Named after the API version with which it came."""


_LONGEST: Final = 320
"""Characters of an entry: a node's name has at most 253, an interface's 15, an address 45."""
_STRAYS: Final = 16
"""Entries that are read beyond one for each address and another for its last owner: tenants write what they like."""


class Entry(NamedTuple):
    """Who announces an address, and where."""

    node: str
    interface: str
    ip: IPAddress | None = None
    """None in v0.6.1's form."""

    def __str__(self) -> str:
        return f"{self.node},{self.interface}" + (f",{self.ip}" if self.ip is not None else "")


@dataclass(frozen=True, slots=True)
class View:
    """What one node knows of a Service's addresses of one family."""

    node: str
    here: Mapping[IPAddress, str]
    """The addresses that it announces as their owner, with the interface."""
    ownerless: Collection[IPAddress]
    """Those that no node owns as far as it knows."""
    is_dead: Callable[[str], bool]
    """Whether a node takes no part any more, and it is for this one to take that one's name away."""


def parse(value: str | None, vips: Sequence[IPAddress]) -> list[Entry]:
    """The entries of a value; one of v0.6.1's form is about the first of the Service's ``vips``.

    Whatever somebody wrote there, they are bounded by the number of ``vips``.
    """
    most = 2 * len(vips) + _STRAYS
    return [_entry(text, vips) for text in (value or "").split(maxsplit=most)[:most] if len(text) <= _LONGEST]


def _entry(text: str, vips: Sequence[IPAddress]) -> Entry:
    # From the first and the last comma: an interface's name may have commas.
    node, _, rest = text.partition(",")
    interface, comma, last = rest.rpartition(",")
    if comma:
        try:
            return Entry(node, interface, parse_address(last))
        except AddressError:
            pass
    return Entry(node, rest, vips[0] if vips else None)


def revise(value: str | None, vips: Sequence[IPAddress], view: View, form: Form) -> str | None:
    """What the annotation should be, by what one node knows; None: no annotation.

    A node writes what it announces, and takes away what names itself in vain, or a dead one. What others write stays,
    but for addresses that the Service no longer has.
    """
    entries, known = parse(value, vips), frozenset(vips)
    kept = {entry.ip: entry for entry in entries if _stays(entry, known, view)}
    mine = {ip: Entry(view.node, interface, ip) for ip, interface in view.here.items() if ip in known}
    if not mine and len(kept) == len(entries):
        return value  # nothing to say: the form is another's choice
    return render((kept | mine).values(), vips, form)


def _stays(entry: Entry, vips: Collection[IPAddress], view: View) -> bool:
    if entry.ip not in vips:
        return not view.here and entry.node != view.node and not view.is_dead(entry.node)
    if entry.ip not in view.ownerless:
        return True
    return entry.node != view.node and not view.is_dead(entry.node)


def render(entries: Iterable[Entry], vips: Collection[IPAddress], form: Form) -> str | None:
    """The value that stands for these entries."""
    ordered = sorted(entries, key=lambda entry: int(entry.ip) if entry.ip is not None else -1)
    if form == "v1" and len(vips) <= 1:
        ordered = [entry._replace(ip=None) for entry in ordered[:1]]
    return " ".join(str(entry) for entry in ordered) or None


def taken_over(before: str | None, after: str | None, vips: Sequence[IPAddress], node: str) -> dict[IPAddress, str]:
    """The addresses that ``node`` takes from another one by this change, with that other node."""
    mine = {entry.ip for entry in parse(after, vips) if entry.node == node}
    return {
        entry.ip: entry.node
        for entry in parse(before, vips)
        if entry.ip is not None and entry.ip in mine and entry.node != node
    }


def named_places(value: str | None, vips: Sequence[IPAddress], node: str) -> dict[IPAddress, str]:
    """Where a value says that ``node`` announces: the interface of each address."""
    return {entry.ip: entry.interface for entry in parse(value, vips) if entry.node == node and entry.ip is not None}
