"""The Services that we read, as frozen views, and the patch bodies that we write to them. No I/O.

Of what thousands of Services have alike, a name of an annotation or a node, a set of ports, one copy is kept: the JSON
decoder makes one per Service.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, overload

from purelb import names
from purelb.addresses import MOST_PINS, Family, IPAddress, parse_address, parse_pins
from purelb.annotations import is_of_interest
from purelb.errors import AddressError

Json: TypeAlias = Mapping[str, Any]

_SHORT: Final = 64
"""Characters."""
_IP_MODE: Final = ("ipMode", "VIP")
"""What an entry of ours says beside its address: packets arrive with it as their destination (KEP-1860)."""

_LONGEST_NAME: Final = 253
"""Characters of an object's name (RFC 1123)."""
_INGRESS: Final = ("f:status", "f:loadBalancer", "f:ingress")
_ANNOTATIONS: Final = ("f:metadata", "f:annotations")


class ServiceKey(NamedTuple):
    """What identifies a Service over its life: PureLB's ``<namespace>/<name>``."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Port(NamedTuple):
    """A Service's port as sharing rules compare it."""

    protocol: str
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.number}"


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What our programs read of a Service."""

    key: ServiceKey
    uid: str
    resource_version: str
    created: datetime.datetime
    type: str
    load_balancer_class: str | None = None
    load_balancer_ip: str | None = None
    cluster_ip: str | None = None
    ip_families: tuple[Family, ...] = ()
    ip_family_policy: str | None = None
    external_traffic_policy: str | None = None
    ports: frozenset[Port] = frozenset()
    selector: tuple[tuple[str, str], ...] = ()
    """Labels of the pods behind it, sorted by key."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those that mean something here, or were meant to; kubectl's copy of the whole object isn't among them."""
    ingress: tuple[IPAddress, ...] = ()
    """The addresses in status.loadBalancer, in their order, each once; host names and garbage are left out."""
    extras: tuple[tuple[IPAddress | None, Json], ...] = ()
    """What others wrote into status.loadBalancer beside addresses: host names, ports, another ipMode; by the address of
    its entry, None where that has only a host name."""
    ingress_writer: str = ""
    """The field manager who wrote them (metadata.managedFields); empty where that isn't known."""
    giver: str = ""
    """Likewise who wrote of which groups they are: our allocator, also after another controller has written them."""
    recorded: tuple[IPAddress, ...] = ()
    """Which addresses our allocator gave, by its own word beside the status, whoever wrote that since; none where
    somebody else wrote that word."""
    announced: datetime.datetime | None = None
    """When somebody last wrote who announces its addresses (managedFields)."""
    deleting: bool = False

    @property
    def is_load_balancer(self) -> bool:
        return self.type == "LoadBalancer"

    @property
    def is_written_by_others(self) -> bool:
        """Whether the API server knows who wrote the addresses, and it wasn't an allocator of PureLB's."""
        return self.ingress_writer not in names.ALLOCATORS | names.UNKNOWN_MANAGERS

    @property
    def allocated_from(self) -> tuple[str, ...]:
        """The groups that its addresses are of, as its annotation says: one of all, or one for each, in their order.

        Its author may be any tenant: no more is read than a Service can have, and nothing that can't be a group's name.
        """
        listed = self.annotations.get(names.ALLOCATED_FROM, "")[: MOST_PINS * (_LONGEST_NAME + 2)].split(",", MOST_PINS)
        found = (name.strip() for name in listed[:MOST_PINS])
        return tuple(name for name in found if name and len(name) <= _LONGEST_NAME)

    def group_of(self, address: IPAddress) -> str:
        """The group that one of its addresses is of, as its annotation says; empty where that doesn't."""
        groups = self.allocated_from
        return groups[min(self.ingress.index(address), len(groups) - 1)] if groups else ""

    @property
    def backend(self) -> str:
        """Whose nodes alone take its traffic (policy Local), as text that is equal for the same pods; else nothing.

        Without a selector its endpoints are its own, whoever writes them.
        """
        if self.external_traffic_policy != "Local":
            return ""
        pods = ",".join(f"{key}={value}" for key, value in self.selector)
        return f"{self.key.namespace}/{pods}" if pods else f"{self.key} itself"

    @property
    def is_branded(self) -> bool:
        """Whether PureLB gave it its addresses: our annotation says so or, where that was lost, who wrote them.

        Never with another's class: any tenant can copy the annotation.
        """
        if self.load_balancer_class not in (None, *names.CLASSES):
            return False
        return self.annotations.get(names.ALLOCATED_BY) == names.BRAND or (
            bool(self.ingress) and self.ingress_writer == names.ALLOCATOR_COMPONENT
        )


def is_ours(service: ServiceView, *, default_announcer: bool) -> bool:
    """Whether PureLB answers this Service.

    A class decides. Without one our brand does: an API server clears the class when the type changes, and what we gave
    we must take back.
    """
    if service.load_balancer_class is not None:
        return service.load_balancer_class in names.CLASSES
    return service.is_branded or default_announcer


def named_group(service: ServiceView) -> str | None:
    """The group that a Service names; an empty name is none, and blanks around it mean nothing."""
    return service.annotations.get(names.SERVICE_GROUP, "").strip() or None


def service_key(body: Json) -> ServiceKey:
    """The key of a Service object."""
    metadata = body["metadata"]
    return ServiceKey(_shared(metadata["namespace"]), metadata["name"])


def view_service(body: Json) -> ServiceView:
    """Read a Service object of the API. Lenient: it never raises for content that the API server lets through."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    managed = metadata.get("managedFields") or ()
    status = (body.get("status") or {}).get("loadBalancer") or {}
    return ServiceView(
        key=service_key(body),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        created=parse_time(metadata.get("creationTimestamp")),
        type=_shared(spec.get("type") or "ClusterIP"),
        load_balancer_class=_shared(spec.get("loadBalancerClass")),
        load_balancer_ip=spec.get("loadBalancerIP") or None,
        cluster_ip=spec.get("clusterIP"),
        ip_families=tuple(Family(family) for family in spec.get("ipFamilies") or () if family in ("IPv4", "IPv6")),
        ip_family_policy=_shared(spec.get("ipFamilyPolicy")),
        external_traffic_policy=_shared(spec.get("externalTrafficPolicy")),
        ports=_ports(tuple((_shared(port.get("protocol", "TCP")), port["port"]) for port in spec.get("ports") or ())),
        selector=tuple(sorted((sys.intern(key), value) for key, value in (spec.get("selector") or {}).items())),
        annotations={
            sys.intern(key): _shared(value)
            for key, value in (metadata.get("annotations") or {}).items()
            if is_of_interest(key)
        },
        ingress=tuple(dict.fromkeys(_addresses(entry.get("ip") for entry in status.get("ingress") or ()))),
        extras=tuple(_extras(status.get("ingress") or ())),
        ingress_writer=_ingress_writer(managed),
        giver=_writer_of(managed, names.ALLOCATED_FROM),
        recorded=_recorded(metadata.get("annotations") or {}, managed),
        announced=_announced(managed),
        deleting=metadata.get("deletionTimestamp") is not None,
    )


@overload
def _shared(text: str) -> str: ...
@overload
def _shared(text: str | None) -> str | None: ...
def _shared(text: Any) -> Any:
    """The one copy of a short text; long ones hardly ever are the same, and what is no text stays what it is."""
    return sys.intern(text) if type(text) is str and len(text) <= _SHORT else text


@lru_cache(maxsize=1024)
def _ports(pairs: tuple[tuple[str, int], ...]) -> frozenset[Port]:
    return frozenset(Port(protocol, number) for protocol, number in pairs)


def parse_time(text: str | None) -> datetime.datetime:
    """An RFC 3339 time of the API; the epoch for none."""
    if not text:
        return datetime.datetime.fromtimestamp(0, datetime.UTC)
    return datetime.datetime.fromisoformat(text)


def _addresses(texts: Iterable[str | None]) -> Iterable[IPAddress]:
    for text in texts:
        try:
            if text:
                yield parse_address(text)
        except AddressError:
            continue


def _extras(entries: Iterable[Json]) -> Iterable[tuple[IPAddress | None, Json]]:
    for entry in entries:
        extra = {key: value for key, value in entry.items() if key != "ip" and (key, value) != _IP_MODE}
        address = next(iter(_addresses([entry.get("ip")])), None)
        if extra and (address is not None or not entry.get("ip")):
            yield address, extra


def _ingress_writer(managed: Iterable[Json]) -> str:
    """Of several who wrote the same value it's us, if we are among them."""
    writers = [
        entry.get("manager") or ""
        for entry in managed
        if entry.get("subresource") == "status" and _sets(entry.get("fieldsV1"), _INGRESS)
    ]
    if names.ALLOCATOR_COMPONENT in writers:
        return names.ALLOCATOR_COMPONENT
    return sys.intern(writers[-1]) if writers else ""


def _recorded(annotations: Mapping[str, str], managed: Iterable[Json]) -> tuple[IPAddress, ...]:
    """Anybody can write the annotation who may write the Service; then the API server has another writer of it."""
    text = annotations.get(names.ALLOCATED_ADDRESSES)
    if not text or _writer_of(managed, names.ALLOCATED_ADDRESSES) != names.ALLOCATOR_COMPONENT:
        return ()
    try:
        return parse_pins(text)
    except AddressError:
        return ()


def _announced(managed: Iterable[Json]) -> datetime.datetime | None:
    paths = [(*_ANNOTATIONS, f"f:{key}") for key in names.ANNOUNCING_KEYS]
    times = [
        entry["time"]
        for entry in managed
        if entry.get("time") and any(_sets(entry.get("fieldsV1"), path) for path in paths)
    ]
    return parse_time(max(times)) if times else None


def _writer_of(managed: Iterable[Json], annotation: str) -> str:
    """Of several who wrote the same value it's an allocator, if one is among them.

    Of whatever subresource: PureLB's own writes its annotations with the Service, ours with the status.
    """
    path = (*_ANNOTATIONS, f"f:{annotation}")
    writers = [entry.get("manager") or "" for entry in managed if _sets(entry.get("fieldsV1"), path)]
    allocator = next((writer for writer in writers if writer in names.ALLOCATORS), None)
    return sys.intern(allocator or writers[-1]) if writers else ""


def _sets(fields: Any, path: Iterable[str]) -> bool:
    for part in path:
        if not isinstance(fields, dict) or part not in fields:
            return False
        fields = fields[part]
    return True


def status_patch(
    service: ServiceView,
    ingress: Iterable[IPAddress],
    annotations: Mapping[str, str | None],
) -> dict[str, Any]:
    """Merge patch for the ``status`` subresource: addresses and annotations in one atomic write.

    The status subresource of a Service accepts metadata.annotations too. The resourceVersion makes the API server
    refuse (409) if the Service changed since it was read. An annotation of None is removed. Of an entry the address is
    ours; what others wrote into it stays, and with an address that takes the place of another.
    """
    entries = _entries(service, tuple(ingress))
    return {
        "metadata": {
            "resourceVersion": service.resource_version,
            "uid": service.uid,
            "annotations": dict(annotations),
        },
        "status": {"loadBalancer": {"ingress": entries} if entries else {"ingress": None}},
    }


def _entries(service: ServiceView, ingress: tuple[IPAddress, ...]) -> list[Json]:
    extras = {address: extra for address, extra in service.extras if address in ingress}
    orphans = iter([extra for address, extra in service.extras if address is not None and address not in ingress])
    entries: list[Json] = []
    for address in ingress:
        extra = extras.get(address, {}) if address in service.ingress else next(orphans, {})
        entries.append({"ip": str(address), **dict([_IP_MODE]), **extra})
    names_only = [extra for address, extra in service.extras if address is None]
    return entries + names_only if service.is_load_balancer else entries


def annotations_patch(service: ServiceView, annotations: Mapping[str, str | None]) -> dict[str, Any]:
    """Merge patch that sets and removes annotations of the Service as it was read."""
    return {
        "metadata": {
            "resourceVersion": service.resource_version,
            "uid": service.uid,
            "annotations": dict(annotations),
        }
    }


def describe_ingress(addresses: Iterable[IPAddress]) -> str:
    """A status.loadBalancer as PureLB v0.6.1's events print it (Go's ``%+v``)."""
    entries = " ".join(f"{{IP:{address} Hostname: Ports:[]}}" for address in addresses)
    return f"{{Ingress:[{entries}]}}"
