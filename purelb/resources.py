"""ServiceGroup and LBNodeAgent, v1 and v2, parsed into one frozen form each, or refused with a sentence.

Both API versions share one schema (no conversion), so the parser takes whichever fields are there. No I/O.
Source of names, defaults and meanings: PureLB v0.6.1 to v0.17.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, TypeAlias

from purelb.addresses import (
    AddressRange,
    Family,
    IPAddress,
    IPNetwork,
    parse_aggregation,
    parse_network,
    parse_range,
)
from purelb.errors import AddressError, SpecError
from purelb.names import DEFAULT_INTERFACE, DUMMY_INTERFACE, GROUP

Json: TypeAlias = Mapping[str, Any]
Scope: TypeAlias = Literal["local", "remote"]


@dataclass(frozen=True, slots=True)
class AddressPool:
    """One range of one ServiceGroup, inside its subnet."""

    range: AddressRange
    subnet: IPNetwork
    prefix_length: int
    """What an address of this pool has on kube-lb0: the aggregation, resolved."""
    text: str
    """The range as its author wrote it."""

    @property
    def family(self) -> Family:
        return self.range.family


@dataclass(frozen=True, slots=True)
class PoolSource:
    """Addresses that the allocator itself hands out, in the order of ``pools``."""

    pools: tuple[AddressPool, ...]
    scope: Scope = "local"
    skip_ipv6_dad: bool = False
    multi_pool: bool = False
    balance_pools: bool = False


@dataclass(frozen=True, slots=True)
class NetboxSource:
    """Addresses that a NetBox keeps as ``reserved`` for a tenant (v1)."""

    url: str
    tenant: str


@dataclass(frozen=True, slots=True)
class SidecarSource:
    """Addresses that a sidecar hands out over a Unix socket (v2)."""

    provider: str
    socket: str
    announce: Scope


AddressSource: TypeAlias = PoolSource | NetboxSource | SidecarSource


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """A parsed ServiceGroup. Its name alone identifies it; the namespace takes no part, as in PureLB."""

    name: str
    namespace: str
    uid: str
    source: AddressSource
    namespaces: tuple[str, ...] | None = None
    enforce_namespaces: bool = False
    namespace_default: bool = False
    written_as: Literal["v1", "v2"] = "v1"
    """The API version of its manifest, which says what ``local`` means."""

    @property
    def is_onlink_only(self) -> bool:
        """Whether its addresses belong on a NIC or nowhere; those of v1's ``local`` are routed where no NIC fits."""
        return self.written_as == "v2" and isinstance(self.source, PoolSource) and self.source.scope == "local"

    @property
    def pools(self) -> tuple[AddressPool, ...]:
        """The pools of a PoolSource; empty for the external ones."""
        return self.source.pools if isinstance(self.source, PoolSource) else ()

    def pool_of(self, address: IPAddress) -> AddressPool | None:
        """The pool that holds ``address``."""
        return next((pool for pool in self.pools if address in pool.range), None)


def parse_service_group(body: Json) -> ServiceGroup:
    """Parse a ServiceGroup object of either version. Raises SpecError with one sentence."""
    metadata = body["metadata"]
    spec: Json = body.get("spec") or {}
    kinds = [kind for kind in ("local", "remote", "external", "netbox") if spec.get(kind) is not None]
    if kinds == ["local", "netbox"]:
        kinds = ["local"]  # PureLB v0.6: local wins
    if not kinds:
        raise SpecError("the spec has no pool: it needs exactly one of local, remote, external or netbox")
    if len(kinds) > 1:
        raise SpecError(f"the spec has {' and '.join(kinds)}, but a ServiceGroup has exactly one kind of pool")
    kind = kinds[0]
    try:
        source = _parse_source(kind, spec[kind])
    except AddressError as error:
        raise SpecError(str(error)) from error
    namespaces = tuple(spec["namespaces"]) if spec.get("namespaces") is not None else None
    for switch in ("enforceNamespaces", "namespaceDefault"):
        if spec.get(switch) and not namespaces:
            raise SpecError(f"{switch} needs a non-empty list of namespaces")
    return ServiceGroup(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        source=source,
        namespaces=namespaces,
        enforce_namespaces=bool(spec.get("enforceNamespaces")),
        namespace_default=bool(spec.get("namespaceDefault")),
        written_as="v2" if _is_written_as_v2(metadata) else "v1",
    )


def _is_written_as_v2(metadata: Json) -> bool:
    """Whether all that wrote of the spec what is there now wrote it as v2 (managedFields).

    All, not the last: kubectl edits and patches in the version that the API server prefers, whichever the manifest has.
    """
    writers = [entry for entry in metadata.get("managedFields") or () if "f:spec" in entry.get("fieldsV1", {})]
    return bool(writers) and all(entry.get("apiVersion") == f"{GROUP}/v2" for entry in writers)


def _parse_source(kind: str, block: Json) -> AddressSource:
    match kind:
        case "local" | "remote":
            return _parse_pools("local" if kind == "local" else "remote", block)
        case "netbox":
            url, tenant = str(block.get("url", "")), str(block.get("tenant", ""))
            if not url.startswith(("http://", "https://")):
                raise SpecError(f'netbox.url "{url}" is not an HTTP or HTTPS URL')
            if not tenant:
                raise SpecError("netbox.tenant is empty")
            return NetboxSource(url=url, tenant=tenant)
        case _:
            announce = block.get("announce")
            if announce not in ("local", "remote"):
                raise SpecError(f'external.announce "{announce}" is neither local nor remote')
            if not block.get("provider"):
                raise SpecError("external.provider is empty")
            return SidecarSource(
                provider=block["provider"],
                socket=block.get("socket") or "/var/run/purelb/ipam.sock",
                announce=announce,
            )


def _parse_pools(scope: Scope, block: Json) -> PoolSource:
    pools: list[AddressPool] = []
    for family, stem in ((Family.IPV4, "v4pool"), (Family.IPV6, "v6pool")):
        # The plural list first, then the singular one: the order in which PureLB uses them.
        for index, entry in enumerate(block.get(f"{stem}s") or ()):
            pools += _parse_entry(entry, f"{scope}.{stem}s[{index}]", family)
        if block.get(stem) is not None:
            pools += _parse_entry(block[stem], f"{scope}.{stem}", family)
    if block.get("pool") or block.get("subnet"):  # an aggregation alone says nothing, and PureLB lets it pass
        legacy = _parse_entry(block, scope, None)
        taken = {pool.family for pool in pools}
        for pool in legacy:
            if pool.family in taken:
                raise SpecError(
                    f"{scope}.pool and {scope}.v{4 if pool.family is Family.IPV4 else 6}pool are both {pool.family}: "
                    "keep the latter"
                )
        pools += legacy
    if not pools:
        raise SpecError(f"{scope} has no pool: it needs v4pool, v6pool, v4pools or v6pools")
    for one, other in combinations(pools, 2):
        if one.range.overlaps(other.range):
            raise SpecError(f"the ranges {one.text} and {other.text} of this group overlap")
    multi_pool, balance_pools = bool(block.get("multiPool")), bool(block.get("balancePools"))
    if multi_pool and balance_pools:
        raise SpecError("multiPool and balancePools exclude each other")
    return PoolSource(
        pools=tuple(pools),
        scope=scope,
        skip_ipv6_dad=bool(block.get("skipIPv6DAD")),
        multi_pool=multi_pool,
        balance_pools=balance_pools,
    )


def _parse_entry(entry: Json, path: str, family: Family | None) -> Iterable[AddressPool]:
    """One AddressPool object; its ``pool`` may list several ranges, divided by commas."""
    if not entry.get("subnet"):
        raise SpecError(f"{path}.subnet is missing")
    if not entry.get("pool"):
        raise SpecError(f"{path}.pool is missing")
    subnet = parse_network(entry["subnet"])
    prefix_length = parse_aggregation(entry.get("aggregation") or "", subnet)
    pools = []
    for text in entry["pool"].split(","):
        addresses = parse_range(text)
        if family is not None and addresses.family is not family:
            raise SpecError(f"{path}.pool {text.strip()} is {addresses.family}, not {family}")
        if not addresses.within(subnet):
            raise SpecError(f"{path}.pool {text.strip()} is not contained in its subnet {subnet}")
        pools.append(AddressPool(addresses, subnet, prefix_length, text.strip()))
    return pools


# --- LBNodeAgent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GarpConfig:
    """How often a VIP is made known to its neighbours after it was placed; times in seconds."""

    enabled: bool = True
    initial_delay: float = 0.1
    count: int = 3
    interval: float = 0.5
    verify_before_send: bool = True


@dataclass(frozen=True, slots=True)
class AddressConfig:
    """How an address sits on an interface: lifetimes in seconds (0: for ever), whether its prefix gets a route."""

    valid_lifetime: int
    preferred_lifetime: int | None
    """During which the node may use it as a source of its own; None: not said, and then an IPv6 address on a NIC is
    none (RFC 6724 rule 3), so that no program takes it for the node's."""
    no_prefix_route: bool


LOCAL_ADDRESSING = AddressConfig(valid_lifetime=20, preferred_lifetime=None, no_prefix_route=True)
"""On a NIC: gone soon after its agent, and of a kind that no CNI takes for the node's own."""
DUMMY_ADDRESSING = AddressConfig(valid_lifetime=0, preferred_lifetime=None, no_prefix_route=False)
"""On kube-lb0: the prefix route is what routing software exports."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A Kubernetes label selector (matchLabels and matchExpressions)."""

    requirements: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(key, operator, values), all of which must hold; none: everything matches."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(self._holds(labels, *requirement) for requirement in self.requirements)

    @staticmethod
    def _holds(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
        match operator:
            case "In":
                return labels.get(key) in values
            case "NotIn":
                return labels.get(key) not in values
            case "Exists":
                return key in labels
            case _:
                return key not in labels


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


class SelectorError(SpecError):
    """A nodeSelector that can't be evaluated."""


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s))")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


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
        node_selector=_parse_selector(spec.get("nodeSelector")),
        announces=local is not None,
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
    )


def _parse_addressing(block: Json | None, default: AddressConfig) -> AddressConfig:
    if block is None:
        return default
    valid = block.get("validLifetime", default.valid_lifetime)
    if 1 <= valid < 20:
        valid = 20  # a shorter one would expire between two renewals of a busy agent
    preferred = block.get("preferredLifetime")
    if preferred is not None and valid and (preferred == 0 or preferred > valid):
        preferred = valid
    return AddressConfig(valid, preferred, block.get("noPrefixRoute", default.no_prefix_route))


def _parse_selector(block: Json | None) -> Selector:
    requirements = [(key, "In", (value,)) for key, value in ((block or {}).get("matchLabels") or {}).items()]
    for expression in (block or {}).get("matchExpressions") or ():
        key, operator = expression.get("key", ""), expression.get("operator", "")
        values = tuple(expression.get("values") or ())
        if operator not in _OPERATORS:
            raise SelectorError(f'operator "{operator}" is none of In, NotIn, Exists, DoesNotExist')
        if (operator in ("In", "NotIn")) != bool(values):
            raise SelectorError(f"operator {operator} of {key} takes {'no' if values else 'at least one'} value")
        requirements.append((key, operator, values))
    return Selector(tuple(requirements))
