"""ServiceGroup, v1 and v2, parsed into one frozen form, or refused with a sentence.

Both API versions share one schema (no conversion), so the parser takes whichever fields are there. No I/O.
Source of names, defaults and meanings: PureLB v0.6.1 to v0.17.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from purelb.addresses import (
    MOST_PINS,
    AddressRange,
    Family,
    IPAddress,
    IPNetwork,
    parse_aggregation,
    parse_network,
    parse_range,
    reserved_in,
)
from purelb.errors import AddressError, SpecError
from purelb.names import GROUP
from purelb.preferences import Placement, parse_rule
from purelb.selectors import Selector, parse_selector

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


MAX_ADDRESSES: Final = 16
"""How many addresses a Service may have of a group that doesn't say; PureLB v0.17 takes as many from a sidecar."""
MOST_ADDRESSES: Final = MOST_PINS
"""How many a group may allow: an agent, its router and every reader of a status pay for each of them."""

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
    max_addresses: int = MAX_ADDRESSES
    """How many of its addresses one Service may have (maxAddressesPerService)."""
    share_across_namespaces: bool = False
    """Whether a sharing key means the same in every namespace."""
    node_selector: Selector = field(default_factory=Selector)
    """The nodes that may announce its addresses."""
    announcers: frozenset[str] | None = None
    """Their names, as its status says for whoever doesn't know all labels; None: any may, or it isn't said."""
    placement: Placement | None = None
    """By which rule its VIPs are placed; None: by the LBNodeAgents'."""
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

    @property
    def scope(self) -> Scope:
        """Where its addresses are announced."""
        match self.source:
            case PoolSource(scope=scope) | SidecarSource(announce=scope):
                return scope
            case NetboxSource():
                return "local"

    @property
    def skip_ipv6_dad(self) -> bool:
        """Whether agents announce its IPv6 addresses without looking whether another host has them."""
        return isinstance(self.source, PoolSource) and self.source.skip_ipv6_dad

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
        max_addresses=_max_addresses(spec.get("maxAddressesPerService"), source),
        share_across_namespaces=bool(spec.get("shareAcrossNamespaces")),
        node_selector=parse_selector(spec.get("nodeSelector")),
        placement=parse_rule(spec.get("placement"), "placement"),
        written_as="v2" if _is_written_as_v2(metadata) else "v1",
    )


def _max_addresses(wanted: object, source: AddressSource) -> int:
    """What the group says; else enough for one of each range, if that is what the group gives."""
    if wanted is None:
        ranges = len(source.pools) if isinstance(source, PoolSource) and source.multi_pool else 0
        return min(max(MAX_ADDRESSES, ranges), MOST_ADDRESSES)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MOST_ADDRESSES:
        raise SpecError(f"maxAddressesPerService {wanted} is not a number from 1 to {MOST_ADDRESSES}")
    return wanted


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


def default_of(listing: Sequence[ServiceGroup]) -> ServiceGroup | None:
    """Who serves the Services of a namespace that name no group, of the groups that list the namespace.

    The only one, or the only one that is marked ``namespaceDefault``. None: the one called ``default``. PureLB v0.17.
    """
    marked = [group for group in listing if group.namespace_default]
    return next((some[0] for some in (listing, marked) if len(some) == 1), None)


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
    ordered = sorted(enumerate(pools), key=lambda entry: (entry[1].family.bits, int(entry[1].range.first)))
    for one, other in pairwise(ordered):  # of ranges in order, the first overlap is between neighbours
        if one[1].range.overlaps(other[1].range):
            (_, first), (_, second) = sorted((one, other), key=lambda entry: entry[0])
            raise SpecError(f"the ranges {first.text} and {second.text} of this group overlap")
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
        if (reserved := reserved_in(addresses)) is not None:
            raise SpecError(
                f"{path}.pool {text.strip()} has addresses of {reserved.network}, which {reserved.purpose} "
                "and can't be a Service's"
            )
        if not addresses.within(subnet):
            raise SpecError(f"{path}.pool {text.strip()} is not contained in its subnet {subnet}")
        pools.append(AddressPool(addresses, subnet, prefix_length, text.strip()))
    return pools
