"""Kubernetes' CEL libraries beyond the language itself: IP and CIDR, strings, lists, regular expressions.

Owns these functions (apiserver `pkg/cel/library`, cel-go `ext/strings.go`). Pure. Not here: URL, quantity, semver and
authorizer functions, optionals and two-variable comprehensions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import re2
from celpy.celtypes import BoolType, DoubleType, IntType, ListType, StringType

IP_NAMESPACE: Final = "ip"
"""`ip` is also a variable, for `ip.isCanonical(text)`."""


@dataclass(frozen=True, slots=True)
class IpValue:
    """CEL's `net.IP`."""

    address: IPv4Address | IPv6Address

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class CidrValue:
    """CEL's `net.CIDR`: the address as written (host bits too) and its network."""

    address: IPv4Address | IPv6Address
    network: IPv4Network | IPv6Network

    def __str__(self) -> str:
        return f"{self.address}/{self.network.prefixlen}"


def _parse_ip(text: str) -> IPv4Address | IPv6Address:
    """As Go's netip.ParseAddr, less zones and IPv4-mapped addresses, which Kubernetes refuses."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        raise ValueError(text)
    return address


def _parse_cidr(text: str) -> CidrValue:
    host, slash, length = text.partition("/")
    if not slash or not length.isdigit() or (len(length) > 1 and length.startswith("0")):
        raise ValueError(text)
    return CidrValue(_parse_ip(host), ip_network(text, strict=False))


def _ip(value: Any) -> IpValue:
    if isinstance(value, CidrValue):  # cidr("...").ip()
        return IpValue(value.address)
    try:
        return IpValue(_parse_ip(str(value)))
    except ValueError:
        raise ValueError(
            f'IP Address "{value}" parse error during conversion from string: ParseAddr("{value}"): unable to parse IP'
        ) from None


def _cidr(value: Any) -> CidrValue:
    try:
        return _parse_cidr(str(value))
    except ValueError:
        raise ValueError(
            f'CIDR "{value}" parse error during conversion from string: netip.ParsePrefix("{value}"): no \'/\''
        ) from None


def _holds(parse: Callable[[str], object]) -> Callable[[Any], BoolType]:
    def check(value: Any) -> BoolType:
        try:
            parse(str(value))
        except ValueError:
            return BoolType(False)
        return BoolType(True)

    return check


def _family(value: IpValue) -> IntType:
    return IntType(value.address.version)


def _contains_ip(network: CidrValue, other: Any) -> BoolType:
    address = other.address if isinstance(other, IpValue) else _ip(other).address
    return BoolType(address.version == network.network.version and address in network.network)


def _contains_cidr(network: CidrValue, other: Any) -> BoolType:
    inner = other if isinstance(other, CidrValue) else _cidr(other)
    if inner.network.version != network.network.version:
        return BoolType(False)
    return BoolType(inner.network.subnet_of(network.network))  # type: ignore[arg-type]


def _masked(network: CidrValue) -> CidrValue:
    return CidrValue(network.network.network_address, network.network)


def _prefix_length(network: CidrValue) -> IntType:
    return IntType(network.network.prefixlen)


def _is_canonical(_: Any, text: Any) -> BoolType:
    return BoolType(str(_ip(text)) == str(text))


def _is_global_unicast(value: IpValue) -> BoolType:
    address = value.address
    plain = not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)
    return BoolType(plain and str(address) != "255.255.255.255")


def _is_link_local_multicast(value: IpValue) -> BoolType:
    v4, v6 = IPv4Network("224.0.0.0/24"), IPv6Network("ff02::/16")
    address = value.address
    return BoolType(address in (v4 if isinstance(address, IPv4Address) else v6))


def _string(value: Any) -> StringType:
    if isinstance(value, bool | BoolType):
        return StringType("true" if value else "false")
    return StringType(str(value))


# Strings


def _substring(text: str, start: int, end: int | None = None) -> StringType:
    stop = len(text) if end is None else int(end)
    if not 0 <= start <= stop <= len(text):
        raise ValueError(f"index out of range: {start}")
    return StringType(text[int(start) : stop])


def _index_of(value: Any, wanted: Any, start: int = 0) -> IntType:
    if isinstance(value, str):
        return IntType(value.find(wanted, int(start)))
    return IntType(next((at for at, item in enumerate(value) if item == wanted), -1))


def _last_index_of(value: Any, wanted: Any) -> IntType:
    if isinstance(value, str):
        return IntType(value.rfind(wanted))
    return IntType(max((at for at, item in enumerate(value) if item == wanted), default=-1))


def _split(text: str, separator: str, limit: int = -1) -> ListType:
    if limit == 0:
        return ListType([])
    parts = list(text) if separator == "" else text.split(separator, int(limit) - 1 if limit > 0 else -1)
    return ListType([StringType(part) for part in parts])


def _replace(text: str, old: str, new: str, limit: int = -1) -> StringType:
    return StringType(text.replace(old, new, int(limit)))


def _format(template: str, values: list[Any]) -> StringType:
    """`%s`, `%d` and `%f`, which messages use."""
    waiting = list(values)

    def one(match: re2._Match) -> str:
        if match.group(0) == "%%":
            return "%"
        value = waiting.pop(0)
        return f"{float(value):f}" if match.group(0) == "%f" else str(_string(value))

    return StringType(re2.sub(r"%[sdf%]", one, str(template)))


_QUIET: Final = re2.Options()
_QUIET.log_errors = False


def _regexp(pattern: Any) -> Any:
    """Compiled by RE2, as in Kubernetes. Raises ValueError."""
    try:
        return re2.compile(str(pattern), options=_QUIET)
    except re2.error as wrong:
        reason = wrong.args[0] if wrong.args else ""
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"error parsing regexp: {text}") from None


def _find(text: str, pattern: str) -> StringType:
    found = _regexp(pattern).search(str(text))
    return StringType(found.group(0) if found else "")


def _find_all(text: str, pattern: str) -> ListType:
    return ListType([StringType(found.group(0)) for found in _regexp(pattern).finditer(str(text))])


def _matches(text: str, pattern: str) -> BoolType:
    return BoolType(_regexp(pattern).search(str(text)) is not None)


# Lists


def _is_sorted(items: list[Any]) -> BoolType:
    return BoolType(all(left <= right for left, right in itertools.pairwise(items)))


def _sum(items: list[Any]) -> Any:
    if not items:
        return IntType(0)
    total = items[0]
    for item in items[1:]:
        total = total + item
    return DoubleType(total) if isinstance(total, float) else total


def _max(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "charAt": lambda text, at: StringType(text[int(at) : int(at) + 1]),
    "cidr": _cidr,
    "containsCIDR": _contains_cidr,
    "containsIP": _contains_ip,
    "family": _family,
    "find": _find,
    "findAll": _find_all,
    "format": _format,
    "indexOf": _index_of,
    "ip": _ip,
    "isCIDR": _holds(_parse_cidr),
    "isCanonical": _is_canonical,
    "isGlobalUnicast": _is_global_unicast,
    "isIP": _holds(_parse_ip),
    "isLinkLocalMulticast": _is_link_local_multicast,
    "isLinkLocalUnicast": lambda value: BoolType(value.address.is_link_local),
    "isLoopback": lambda value: BoolType(value.address.is_loopback),
    "isSorted": _is_sorted,
    "isUnspecified": lambda value: BoolType(value.address.is_unspecified),
    "join": lambda items, separator="": StringType(str(separator).join(items)),
    "lastIndexOf": _last_index_of,
    "lowerAscii": lambda text: StringType(text.lower()),
    "masked": _masked,
    "matches": _matches,
    "max": _max,
    "prefixLength": _prefix_length,
    "replace": _replace,
    "reverse": lambda value: StringType(value[::-1]) if isinstance(value, str) else ListType(value[::-1]),
    "split": _split,
    "string": _string,
    "substring": _substring,
    "sum": _sum,
    "trim": lambda text: StringType(text.strip()),
    "upperAscii": lambda text: StringType(text.upper()),
}
