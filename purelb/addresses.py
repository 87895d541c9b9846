"""IP addresses, families, ranges and aggregations as values; text is parsed here, once, at the door.

No I/O, no Kubernetes. Errors are AddressError with one sentence that names the offending text.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple, TypeAlias

from purelb.errors import AddressError

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network


class Family(enum.Enum):
    """An IP family, by Kubernetes' name for it."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    @property
    def bits(self) -> int:
        """Length of an address in bits."""
        return 32 if self is Family.IPV4 else 128

    def __str__(self) -> str:
        return self.value


def family_of(value: IPAddress | IPNetwork) -> Family:
    """The family of an address or network."""
    return Family.IPV4 if isinstance(value, IPv4Address | IPv4Network) else Family.IPV6


def parse_address(text: str) -> IPAddress:
    """Parse one address; blanks around it are ignored, an IPv4-mapped IPv6 address becomes its IPv4 one.

    Raises AddressError.
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise AddressError(f'"{text}" is not an IP address') from None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            raise AddressError(f'"{text}" has a zone, which an announced address can\'t have')
    return address


MOST_PINS: Final = 256
"""Addresses that ``purelb.io/addresses`` may list."""
WIDEST_PIN: Final = 48
"""Characters of the longest form of one (45), and blanks and a comma."""


def parse_pins(text: str) -> tuple[IPAddress, ...]:
    """The annotation ``purelb.io/addresses``: addresses divided by commas, each once, in its order.

    Its length is bounded before anything is looked at: its author is any tenant, and an annotation may have 256 KiB.
    Raises AddressError with PureLB's sentence.
    """
    if len(text) > MOST_PINS * WIDEST_PIN or text.count(",") >= MOST_PINS:
        raise AddressError(f"invalid user-specified address: the list has more than {MOST_PINS} addresses")
    return tuple(dict.fromkeys(_parse_pin(one) for one in text.split(",")))


def _parse_pin(text: str) -> IPAddress:
    try:
        return parse_address(text)
    except AddressError:
        raise AddressError(f'invalid user-specified address: ""{excerpt(text)}""') from None


def excerpt(text: str, most: int = 64) -> str:
    """As much of a stranger's text as a sentence may quote."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(texts: Sequence[str], most: int) -> str:
    """As many of them as a sentence may name: ``a, b and 3 more``."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def parse_network(text: str) -> IPNetwork:
    """Parse a CIDR; host bits are cleared (Kubernetes users write ``10.0.0.1/24``). Raises AddressError."""
    if "/" not in text:
        raise AddressError(f'"{text}" is not a subnet in CIDR form such as 192.168.1.0/24')
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise AddressError(f'"{text}" is not a subnet in CIDR form such as 192.168.1.0/24') from None


@dataclass(frozen=True, slots=True)
class AddressRange:
    """All addresses from ``first`` to ``last``, both included and of one family."""

    first: IPAddress
    last: IPAddress

    def __post_init__(self) -> None:
        if self.first.version != self.last.version:
            raise AddressError(f'the range "{self}" mixes IPv4 and IPv6')
        if int(self.first) > int(self.last):
            raise AddressError(f'the range "{self}" is upside down: its first address is above its last')

    @property
    def family(self) -> Family:
        return family_of(self.first)

    @property
    def size(self) -> int:
        """Number of addresses; an IPv6 range can exceed 64 bits."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: object) -> bool:
        return (
            isinstance(address, IPv4Address | IPv6Address)
            and address.version == self.first.version
            and int(self.first) <= int(address) <= int(self.last)
        )

    def overlaps(self, other: AddressRange) -> bool:
        """Whether an address is in both; symmetric."""
        return self.family is other.family and int(self.first) <= int(other.last) and int(other.first) <= int(self.last)

    def within(self, network: IPNetwork) -> bool:
        """Whether every address is in ``network``."""
        return self.first in network and self.last in network

    def __iter__(self) -> Iterator[IPAddress]:
        kind = type(self.first)
        return (kind(value) for value in range(int(self.first), int(self.last) + 1))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def parse_range(text: str) -> AddressRange:
    """Parse ``first-last``, a CIDR or a single address into a range that includes both ends.

    Network and broadcast addresses belong to it, as in PureLB: what is in the pool is the user's choice. A CIDR with
    host bits set starts **at** that host address: ``192.168.1.10/24`` is .10 to .255. Raises AddressError.
    """
    stripped = text.strip()
    if "/" in stripped:
        try:
            interface = ipaddress.ip_interface(stripped)
        except ValueError:
            raise AddressError(_no_range(text)) from None
        return AddressRange(_parse_end(str(interface.ip)), interface.network.broadcast_address)
    first, dash, last = stripped.partition("-")
    if dash:
        return AddressRange(_parse_end(first), _parse_end(last))
    try:
        ipaddress.ip_address(stripped)
    except ValueError:
        raise AddressError(_no_range(text)) from None
    return AddressRange(_parse_end(stripped), _parse_end(stripped))


def _no_range(text: str) -> str:
    return f'"{text}" is neither a CIDR, nor a range such as 192.168.1.10-192.168.1.20, nor an address'


def _parse_end(text: str) -> IPAddress:
    """One end of a range. Who writes a range of IPv4-mapped addresses means neither family clearly."""
    address = parse_address(text)
    if isinstance(address, IPv4Address) and ":" in text:
        raise AddressError(f'"{text.strip()}" is an IPv4-mapped address: write it as {address}')
    return address


class Reserved(NamedTuple):
    """Addresses that no Service can have on any network, and what they are for."""

    network: IPNetwork
    purpose: str


RESERVED: Final = tuple(
    Reserved(ipaddress.ip_network(network), purpose)
    for network, purpose in (
        ("0.0.0.0/8", 'stand for "this host" (RFC 1122)'),
        ("127.0.0.0/8", "are loopback addresses (RFC 1122)"),
        ("169.254.0.0/16", "are link-local (RFC 3927)"),
        ("224.0.0.0/4", "are multicast addresses (RFC 5771)"),
        ("240.0.0.0/4", "are reserved, and the last of them is for broadcasts (RFC 1112, RFC 919)"),
        ("::/8", "are unspecified, loopback, IPv4-mapped or otherwise reserved (RFC 4291)"),
        ("fe80::/10", "are link-local (RFC 4291)"),
        ("ff00::/8", "are multicast addresses (RFC 4291)"),
    )
)


def reserved_in(addresses: AddressRange) -> Reserved | None:
    """The first reserved block with which a range has an address in common."""
    for reserved in RESERVED:
        block = AddressRange(reserved.network.network_address, reserved.network.broadcast_address)
        if addresses.overlaps(block):
            return reserved
    return None


def is_reserved(address: IPAddress) -> bool:
    """Whether no Service can have it on any network."""
    return any(address in reserved.network for reserved in RESERVED)


def parse_aggregation(text: str, subnet: IPNetwork) -> int:
    """The prefix length that an aggregation stands for on ``kube-lb0``.

    ``default`` or nothing: the subnet's own; ``/N``, or ``N``: N. Raises AddressError where N isn't a prefix length
    of the subnet's family.
    """
    stripped = text.strip()
    if stripped in ("", "default"):
        return subnet.prefixlen
    digits = stripped.removeprefix("/")
    bits = family_of(subnet).bits
    if not (digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= bits):
        raise AddressError(
            f'aggregation "{text}" is neither "default" nor a prefix length from /1 to /{bits} of an '
            f"{family_of(subnet)} subnet"
        )
    return int(digits)
