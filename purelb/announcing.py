"""Who says to announce a Service's addresses on a NIC: ``purelb.io/announcing-IPv4`` and ``-IPv6``, as they are read.

There are two forms, and either is read. PureLB v0.6.1's ``node,interface`` has room for one address; v0.17's has an
entry ``node,interface,ip`` for each, sorted by address and divided by blanks. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError

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
