"""What a host's NIC may be made of: cables, and a bond, a VLAN or a bridge on top of them. Pure.

Owns these values and which driver of the kernel each needs. `network` makes the links, `topologyfile` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """A link on top of others; the value is the kernel's own word (ip-link(8))."""

    BOND = "bond"
    VLAN = "vlan"
    BRIDGE = "bridge"

    @property
    def driver(self) -> str:
        """The kernel's module."""
        return {Kind.BOND: "bonding", Kind.VLAN: "8021q", Kind.BRIDGE: "bridge"}[self]


@dataclass(frozen=True, slots=True)
class Cable:
    """From a host to the switch of a subnet."""

    link: str
    """The host's end."""
    port: str
    """The switch's end."""
    mac: str


@dataclass(frozen=True, slots=True)
class Layer:
    """A link of a host's on top of others."""

    kind: Kind
    name: str
    below: tuple[str, ...]
    """Two for a bond, else one."""
    tag: int | None = None
    """Of a VLAN: the number in the frames' tags (IEEE 802.1Q)."""


def tagged(link: str, tag: int) -> str:
    """What a VLAN on a link is called, on both ends of a cable."""
    return f"{link}.{tag}"
