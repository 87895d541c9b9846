"""LBNodeAgent, v1 and v2, parsed into one frozen form, or refused with a sentence.

Both API versions share one schema (no conversion), so the parser takes whichever fields are there. No I/O.
Source of names, defaults and meanings: PureLB v0.6.1 to v0.17.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from purelb.errors import SpecError
from purelb.names import DEFAULT_INTERFACE, DUMMY_INTERFACE
from purelb.preferences import Placement, parse_rule, parse_weight
from purelb.returnpath import ReturnPath, parse_return_path
from purelb.selectors import Selector, parse_selector

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GarpConfig:
    """How often a VIP is made known to its neighbours after it was placed; times in seconds."""

    enabled: bool = True
    initial_delay: float = 0.1
    count: int = 3
    interval: float = 0.5
    verify_before_send: bool = True
    refresh: float = 240.0
    """Until neighbours and switches are told again though nothing happened; 0: never."""


@dataclass(frozen=True, slots=True)
class AddressConfig:
    """How an address sits on an interface: lifetimes in seconds (0: for ever), whether its prefix gets a route."""

    valid_lifetime: int
    preferred_lifetime: int | None
    """During which the node may use it as a source of its own; None: not said, and then an IPv6 address on a NIC is
    none (RFC 6724 rule 3), so that no program takes it for the node's."""
    no_prefix_route: bool


LOCAL_ADDRESSING = AddressConfig(valid_lifetime=10, preferred_lifetime=None, no_prefix_route=True)
"""On a NIC: gone soon after its agent, and of a kind that no CNI takes for the node's own.

Renewed every 2.5 s. An agent that comes to nothing for longer than 5.5 s loses its VIPs, which its peers have taken
long before: what a longer lifetime would keep is an address on two nodes.
"""
SHORTEST = 5
"""Seconds: the kernel is given two less, and an agent renews every quarter, so that it may be held up for 1.7 s."""
DUMMY_ADDRESSING = AddressConfig(valid_lifetime=0, preferred_lifetime=None, no_prefix_route=False)
"""On kube-lb0: the prefix route is what routing software exports."""


@dataclass(frozen=True, slots=True)
class NodeAgentConfig:
    """A parsed LBNodeAgent: what an agent does with VIPs."""

    name: str = "built-in"
    namespace: str = ""
    uid: str = ""
    local_interface: str = DEFAULT_INTERFACE
    """``default`` or an unanchored regular expression over interface names."""
    dummy_interface: str = DUMMY_INTERFACE
    interfaces: tuple[str, ...] = ()
    garp: GarpConfig = field(default_factory=GarpConfig)
    local_addressing: AddressConfig = LOCAL_ADDRESSING
    dummy_addressing: AddressConfig = DUMMY_ADDRESSING
    node_selector: Selector = field(default_factory=Selector)
    announces: bool = True
    """False without a ``local`` block: such an agent announces nothing."""
    placement: Placement | None = None
    """By which rule VIPs are placed whose ServiceGroup doesn't say; None: not said."""
    weight: int = 1
    """How many VIPs each of its nodes has beside the others, unless a label of the node says something else."""
    return_path: ReturnPath | None = None
    """Answers leave by the NIC of their VIP; None: as the node's routes say."""


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s))")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float:
    """A Go duration such as ``1m30s`` or ``100ms`` in seconds. Raises SpecError."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise SpecError(f'"{text}" is not a duration such as 500ms or 1m30s')
    return sum(float(part.group(1)) * _SECONDS[part.group(2)] for part in parts)


_NOT_A_NAME = re.compile(r"[\s/:]")
_POSIX_CLASSES = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "lower": "a-z",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
    "word": "0-9A-Za-z_",
}


def interface_pattern(text: str) -> re.Pattern[str]:
    """The regular expression of ``localInterface``. Raises re.error.

    PureLB's are Go's (RE2). What interface names can need of them means the same in Python, but for the end of the
    text and classes with names.
    """
    for name, members in _POSIX_CLASSES.items():
        text = text.replace(f"[:{name}:]", members)
    return re.compile(text.replace(r"\z", r"\Z"))


def parse_node_agent(body: Json) -> NodeAgentConfig:
    """Parse an LBNodeAgent object of either version: v2's names win over v1's. Raises SpecError with one sentence."""
    metadata = body["metadata"]
    spec: Json = body.get("spec") or {}
    local: Json | None = spec.get("local")
    block: Json = local or {}
    interface = block.get("localInterface") or block.get("localint") or DEFAULT_INTERFACE
    if interface != DEFAULT_INTERFACE:
        try:
            interface_pattern(interface)
        except re.error as error:
            raise SpecError(f'localInterface "{interface}" is not a regular expression: {error}') from None
    dummy = block.get("dummyInterface") or block.get("extlbint") or DUMMY_INTERFACE
    for name, path in ((dummy, "dummyInterface"), *((name, "interfaces") for name in block.get("interfaces") or ())):
        if _NOT_A_NAME.search(name) or len(name) > 15 or name in ("", ".", ".."):
            raise SpecError(
                f'{path}: "{name}" is no name for an interface (at most 15 characters, no blank, slash or colon)'
            )
    addressing: Json = block.get("addressConfig") or {}
    return NodeAgentConfig(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        local_interface=interface,
        dummy_interface=dummy,
        interfaces=tuple(block.get("interfaces") or ()),
        garp=_parse_garp(block.get("garpConfig")),
        local_addressing=_parse_addressing(addressing.get("localInterface"), LOCAL_ADDRESSING),
        dummy_addressing=_parse_addressing(addressing.get("dummyInterface"), DUMMY_ADDRESSING),
        node_selector=parse_selector(spec.get("nodeSelector")),
        announces=local is not None,
        placement=parse_rule(block.get("placement"), "local.placement"),
        weight=parse_weight(block.get("weight"), "local.weight"),
        return_path=parse_return_path(block.get("returnPath")),
    )


def _parse_garp(block: Json | None) -> GarpConfig:
    if block is None:
        return GarpConfig()
    default = GarpConfig()
    count = block.get("count", default.count)
    if not 1 <= count <= 10:
        raise SpecError(f"garpConfig.count {count} is not from 1 to 10")
    return GarpConfig(
        enabled=block.get("enabled", True),
        initial_delay=parse_duration(block["initialDelay"]) if block.get("initialDelay") else default.initial_delay,
        count=count,
        interval=parse_duration(block["interval"]) if block.get("interval") else default.interval,
        verify_before_send=block.get("verifyBeforeSend", True),
        refresh=_parse_refresh(block["refreshInterval"]) if block.get("refreshInterval") else default.refresh,
    )


def _parse_refresh(text: str) -> float:
    refresh = parse_duration(text)
    if refresh and refresh < 10:
        raise SpecError(f'garpConfig.refreshInterval "{text}" is shorter than 10s; 0s is never')
    return refresh


def _parse_addressing(block: Json | None, default: AddressConfig) -> AddressConfig:
    if block is None:
        return default
    valid = block.get("validLifetime", default.valid_lifetime)
    if 1 <= valid < SHORTEST:
        valid = SHORTEST
    preferred = block.get("preferredLifetime")
    if preferred is not None and valid and (preferred == 0 or preferred > valid):
        preferred = valid
    return AddressConfig(valid, preferred, block.get("noPrefixRoute", default.no_prefix_route))
