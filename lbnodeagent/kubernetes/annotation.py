"""The value of ``purelb.io/announcing-IPv4`` and ``-IPv6``: which node announces which address on a NIC. Pure.

Its two forms, and how either is read: purelb/announcing.py. Several addresses of one family, which only v0.17 gives,
are always written in its form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from purelb.addresses import IPAddress
from purelb.announcing import Entry, parse

Form: TypeAlias = Literal["v1", "v2"]
"""Named after the API version with which it came."""


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
