"""What the page shows, a row for each thing: values that become JSON. Pure.

Texts come from objects that anybody may have written. They are bounded here, and what could make one look like another
(control characters, marks that turn the direction of writing) is shown as such; the page writes them as text alone.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

LONGEST: Final = 253
"""Characters of a text: as many as a name has at most."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what isn't seen, or changes how other characters are."""


def legible(text: str, most: int = LONGEST) -> str:
    """A stranger's text as it may be shown."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _UNSEEN else one for one in cut)


class Fill(NamedTuple):
    """How full a pool is of one family."""

    family: str
    used: int
    free: int | None
    """None where its source doesn't say."""


class PoolRow(NamedTuple):
    """A ServiceGroup."""

    key: str
    name: str
    namespace: str
    announce: str
    """``Local`` or ``Remote``."""
    source: str
    ranges: tuple[str, ...]
    fill: tuple[Fill, ...]
    is_served: bool | None
    """None: no allocator has said so yet."""
    trouble: str
    """Why it isn't served."""


class VipRow(NamedTuple):
    """An address; or, without one, a Service that waits for it."""

    key: str
    address: str
    services: tuple[str, ...]
    more: int
    """Services that have it too and aren't named."""
    pool: str
    state: str
    node: str
    interface: str
    since: int | None
    """Seconds since 1970; None: not known."""
    next: str | None
    """Who has it when its node dies; empty: nobody. None: not known, or there is no such question."""
    why: str


class NodeRow(NamedTuple):
    """A node of the cluster, or of the gossip."""

    key: str
    name: str
    standing: str
    """As in the Membership; ``Absent``: it takes no part."""
    reason: str
    subnets: tuple[str, ...]
    vips: int
    """Addresses that it announces on its NICs."""
    weight: int
    version: str
    is_behind: bool


class MoveRow(NamedTuple):
    """Addresses that went from a node to others for one cause, at about the same time."""

    key: str
    at: float
    """Seconds since 1970, of the first of them."""
    node: str
    """That had them."""
    cause: str
    why: str
    moved: int
    """How many addresses."""
    to: tuple[tuple[str, int], ...]
    """Who has how many of them, the most first."""
    least: float | None
    """Seconds from the cause to the new node's word, of the fastest; None: the cause was heard of later."""
    most: float | None
    """Of the slowest."""
    addresses: tuple[str, ...]
    """The first of them."""


class Trouble(NamedTuple):
    """One thing that isn't well."""

    about: str
    why: str


class Head(NamedTuple):
    """What is said of the whole."""

    version: str
    identity: str
    """Which allocator tells it."""
    leads: bool
    begun: float
    """Seconds since 1970, since when moves are told."""
    states: dict[str, int]
    """How many addresses are in each state."""
    serving: int
    members: int
    troubles: tuple[Trouble, ...]
    """The first of them."""
    more: int
    """That aren't named."""
