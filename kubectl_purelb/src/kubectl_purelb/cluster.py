"""What is read of a cluster, as values. Pure; lenient, as objects may have been written by anybody.

Texts stay as they came: whatever is in them is made harmless where it's printed (printing.py).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from purelb import membership, names
from purelb.addresses import Family, IPNetwork, listed
from purelb.errors import SettingsError, SpecError
from purelb.membership import MemberNode, parse_membership
from purelb.nodeagents import parse_node_agent
from purelb.servicegroups import ServiceGroup, default_of, parse_service_group
from purelb.services import ServiceView, is_ours, named_group, parse_time

Json: TypeAlias = Mapping[str, Any]

ALLOCATOR: Final = "allocator"
AGENT: Final = "lbnodeagent"


class Fill(NamedTuple):
    """How full a pool is of one family."""

    family: Family
    used: int
    free: int | None
    """None where its source doesn't say."""


@dataclass(frozen=True, slots=True)
class Group:
    """A ServiceGroup, and what the allocator says of it."""

    name: str
    namespace: str
    spec: ServiceGroup | None
    """None: it can't be read."""
    is_served: bool | None
    """None: no allocator has said so yet."""
    trouble: str = ""
    """Why it isn't served, in a sentence."""
    full: str = ""
    """That a family has no address left, in a sentence."""
    announce: str = ""
    ipam: str = ""
    fill: tuple[Fill, ...] = ()
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An LBNodeAgent."""

    name: str
    namespace: str
    dummy: str
    """The interface that routed addresses are on; empty where it can't be read."""
    trouble: str = ""
    """Why it isn't used."""
    announces: bool = True
    placement: str | None = None
    """By which rule addresses are placed, where it says so."""

    @property
    def is_idle(self) -> bool:
        """Whether it can be read and no node goes by it. One that can't be read may be in force as it was before."""
        return bool(self.dummy and self.trouble)


@dataclass(frozen=True, slots=True)
class Gathering:
    """The Membership object: which nodes there are, as one of their agents wrote it."""

    nodes: Mapping[str, MemberNode]
    on: Mapping[IPNetwork, frozenset[str]]
    """The nodes with a NIC on each subnet: there are few of these, whatever the number of nodes."""
    nowhere: int
    """VIPs that no node has, as the agents say."""
    spokesman: str
    observed: datetime.datetime


@dataclass(frozen=True, slots=True)
class Program:
    """The allocator's Deployment or the agents' DaemonSet."""

    name: str
    ready: int
    wanted: int
    image: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Its environment, as far as that is said there itself."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that was read."""

    namespace: str
    """PureLB's."""
    services: tuple[ServiceView, ...] = ()
    """All that there are, by namespace and name."""
    groups: tuple[Group, ...] = ()
    configs: tuple[AgentConfig, ...] = ()
    gathering: Gathering | None = None
    programs: Mapping[str, Program] = field(default_factory=dict)
    default_announcer: bool = True
    """Whether a Service without a class is PureLB's."""

    @property
    def is_idle(self) -> bool:
        """Whether no node goes by any LBNodeAgent, so that none announces anything."""
        return bool(self.configs) and all(config.is_idle for config in self.configs)

    @property
    def ours(self) -> tuple[ServiceView, ...]:
        """The Services of type LoadBalancer that PureLB answers."""
        return tuple(service for service in self.services if self.is_ours(service))

    def is_ours(self, service: ServiceView) -> bool:
        return service.is_load_balancer and is_ours(service, default_announcer=self.default_announcer)

    def find(self, text: str, namespace: str | None) -> ServiceView:
        """The Service that is meant by ``NAMESPACE/NAME``, or by a name that is unambiguous. Raises SettingsError."""
        said, slash, name = text.rpartition("/")
        where = said if slash else namespace
        named = [one for one in self.services if one.key.name == name and where in (None, one.key.namespace)]
        if not named:
            place = f"in namespace {where}" if where is not None else "in any namespace"
            raise SettingsError(f'there is no Service "{name}" {place}')
        ours = [one for one in named if self.is_ours(one)] or named
        if len(ours) > 1:
            keys = listed([str(one.key) for one in ours], 5)
            raise SettingsError(f'there is more than one Service "{name}": say which ({keys})')
        return ours[0]

    def with_service(self, service: ServiceView) -> Cluster:
        """The same with a Service as it is now."""
        return replace(self, services=tuple(service if one.key == service.key else one for one in self.services))

    def group_to_take_from(self, service: ServiceView) -> str:
        """The name of the group that is to give a Service its addresses, where it names none by pins."""
        listing = [
            group.spec
            for group in self.groups
            if group.is_served and group.spec is not None and service.key.namespace in (group.spec.namespaces or ())
        ]
        own = default_of(listing)
        return named_group(service) or (own.name if own is not None else names.DEFAULT_GROUP)

    def is_planned(self, group: Group | None) -> bool:
        """Whether the allocator plans where a group's addresses are: as it says, or else all LBNodeAgents do."""
        said = group.spec.placement if group is not None and group.spec is not None else None
        if said is not None:
            return said == "even"
        rules = {config.placement for config in self.configs if config.announces or config.trouble}
        return rules == {"even"}

    def group(self, name: str) -> Group | None:
        """The one of that name; of several in different namespaces the one that is served."""
        named = [group for group in self.groups if group.name == name]
        return next((group for group in named if group.is_served), named[0] if named else None)


def view_group(body: Json) -> Group:
    """Read a ServiceGroup."""
    metadata, status = body["metadata"], body.get("status") or {}
    spec, trouble = None, ""
    try:
        spec = parse_service_group(body)
    except SpecError as error:
        trouble = str(error)
    else:
        if spec.node_selector.requirements and isinstance(nodes := status.get("nodes"), list):
            spec = replace(spec, announcers=frozenset(map(str, nodes)))
    ready, full = _condition(status, "Ready"), _condition(status, "Exhausted")
    return Group(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        spec=spec,
        is_served=None if ready is None else ready[0],
        trouble=ready[1] if ready is not None and not ready[0] else trouble,
        full=full[1] if full is not None and full[0] else "",
        announce=str(status.get("announce") or ""),
        ipam=str(status.get("ipam") or ""),
        fill=tuple(_fills(status)),
        ranges=tuple(map(str, status.get("addresses") or ())),
    )


def _fills(status: Json) -> Iterable[Fill]:
    for family in Family:
        used, free = status.get(f"allocated{family}") or 0, status.get(f"available{family}")
        if used or free is not None:
            yield Fill(family, used, free)


def _condition(status: Json, kind: str) -> tuple[bool, str] | None:
    """Whether it is so, and the sentence; None where nothing is said."""
    for one in status.get("conditions") or ():
        if one.get("type") == kind and one.get("status") in ("True", "False"):
            return one["status"] == "True", str(one.get("message") or "")
    return None


def view_config(body: Json) -> AgentConfig:
    """Read an LBNodeAgent."""
    metadata, ready = body["metadata"], _condition(body.get("status") or {}, "Ready")
    name, namespace = metadata["name"], metadata.get("namespace", "")
    told = ready[1] if ready is not None and not ready[0] else ""
    try:
        spec = parse_node_agent(body)
    except SpecError as error:
        return AgentConfig(name, namespace, "", told or str(error))
    return AgentConfig(name, namespace, spec.dummy_interface, told, spec.announces, spec.placement)


def view_gathering(body: Json) -> Gathering | None:
    """Read the Membership object; None of one that no agent has written yet."""
    status = body.get("status") or {}
    if body["metadata"]["name"] != membership.NAME or not status:
        return None
    nodes = parse_membership(body)
    on: dict[IPNetwork, set[str]] = {}
    for node in nodes.values():
        for subnet in node.subnets:
            on.setdefault(subnet, set()).add(node.name)
    return Gathering(
        nodes=nodes,
        on={subnet: frozenset(there) for subnet, there in on.items()},
        nowhere=status.get("nowhere") or 0,
        spokesman=str(status.get("spokesman") or ""),
        observed=parse_time(status.get("observed")),
    )


def view_program(body: Json) -> Program:
    """Read a Deployment or a DaemonSet."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    ready, wanted = status.get("readyReplicas"), spec.get("replicas")
    if body["kind"] == "DaemonSet":
        ready, wanted = status.get("numberReady"), status.get("desiredNumberScheduled")
    container = _container(spec)
    image, settings = str(container.get("image") or ""), environment_of(container)
    return Program(component_of(body), ready or 0, wanted or 0, image, settings)


def component_of(body: Json) -> str:
    """Which program a workload is, by its labels."""
    component: str = (body["metadata"].get("labels") or {}).get("component", "")
    return component


def says_default_announcer(body: Json) -> bool:
    """Whether an allocator's Deployment has Services without a class served."""
    return environment_of(_container(body.get("spec") or {})).get("DEFAULT_ANNOUNCER") == names.DEFAULT_ANNOUNCER


def environment_of(container: Json) -> dict[str, str]:
    """Of a container, as far as that is said there itself."""
    return {str(one.get("name")): str(one["value"]) for one in container.get("env") or () if one.get("value")}


def _container(spec: Json) -> Json:
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    first: Json = containers[0]
    return first
