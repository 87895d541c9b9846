"""What the API server has, and what of it agents hear: Services with their endpoints, groups, LBNodeAgents, nodes.

A state is one frozen value with a version. Agents hear of each kind by itself, a moment later; the API can be away,
tell what was a while ago, or go back to it for good, as after a restored backup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from lbnodeagent.gate.failures import Failure
from lbnodeagent.kubernetes.nodefeed import EXCLUDE_LABEL
from purelb import names
from purelb.addresses import IPAddress
from purelb.endpoints import EndpointNodes, EndpointSlice
from purelb.nodeagents import NodeAgentConfig, parse_node_agent
from purelb.ordering import ObjectKey
from purelb.placement import parse_placement, write_placement
from purelb.selection import choose_config
from purelb.servicegroups import ServiceGroup, parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service
from tests.lbnodeagent.stage.topology import POOLS, group_of

Kind: TypeAlias = Literal["services", "groups", "slices", "configs", "nodes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_PAST = 8
"""States that a backup may be of."""


@dataclass(frozen=True, slots=True)
class NodeObject:
    """A Node."""

    labels: Mapping[str, str] = field(default_factory=dict)
    is_cordoned: bool = False
    failure: Failure | None = None
    """What it says against its node's data path."""

    @property
    def is_excluded(self) -> bool:
        return self.is_cordoned or EXCLUDE_LABEL in self.labels


@dataclass(frozen=True, slots=True)
class Objects:
    """All there is, at one version."""

    version: int = 0
    services: Mapping[ObjectKey, ServiceView] = field(default_factory=dict)
    groups: Mapping[ObjectKey, ServiceGroup] = field(default_factory=dict)
    slices: Mapping[ObjectKey, EndpointSlice] = field(default_factory=dict)
    configs: Mapping[ObjectKey, NodeAgentConfig] = field(default_factory=dict)
    nodes: Mapping[str, NodeObject] = field(default_factory=dict)

    def config_of(self, node: str) -> NodeAgentConfig:
        """What applies to a node."""
        return choose_config(tuple(self.configs.values()), self.nodes[node].labels).config

    def planned(self, vip: IPAddress) -> tuple[str, ...]:
        """The nodes that the plan of a VIP names, in their order."""
        texts = (one.annotations.get(names.PLACEMENT, "") for one in self.services.values() if vip in one.ingress)
        return next((parse_placement(text).get(vip, ()) for text in texts), ())


@dataclass(slots=True)
class Api:
    """``tell`` is called with the kinds of which ``told`` is news."""

    tell: Callable[[tuple[Kind, ...]], None]
    now: Objects = field(default_factory=Objects)
    told: Objects = field(default_factory=Objects)
    """What agents hear."""
    is_there: bool = True
    _past: list[Objects] = field(default_factory=list)

    # --- what users change -------------------------------------------------------------------------------------------

    def install(self, nodes: tuple[str, ...], *, local_interface: str) -> None:
        """What is there before any Service."""
        groups = [parse_service_group(group(name, pools)) for name, pools in POOLS.items()]
        self.now = replace(
            self.now,
            groups={ObjectKey(one.namespace, one.name): one for one in groups},
            nodes={name: NodeObject() for name in nodes},
        )
        self.configure("default", {"localInterface": local_interface})

    def want(self, vip: IPAddress, *, policy: str = "Cluster", annotations: Mapping[str, str] | None = None) -> None:
        """A Service has this address, as the allocator gave it."""
        one = view_service(service(vip, self.now.version + 1, policy, annotations or {}))
        self._change("services", services={**self.now.services, _key(vip): one})

    def plan(self, vip: IPAddress, nodes: Sequence[str]) -> None:
        """The allocator would have the address on these nodes, the first of them that can; none: it plans no more."""
        one = self.now.services.get(_key(vip))
        if one is None:
            return
        annotations = {key: text for key, text in one.annotations.items() if key != names.PLACEMENT}
        if nodes:
            annotations[names.PLACEMENT] = write_placement({vip: nodes})
        one = replace(one, annotations=annotations, resource_version=str(self.now.version + 1))
        self._change("services", services={**self.now.services, _key(vip): one})

    def unwant(self, vip: IPAddress) -> None:
        """It is deleted."""
        left = {key: one for key, one in self.now.services.items() if key != _key(vip)}
        self._change("services", services=left)

    def endpoints(self, vip: IPAddress, ready: frozenset[str], draining: frozenset[str] = frozenset()) -> None:
        """The pods behind the Service of ``vip`` are on these nodes."""
        one = EndpointSlice(str(vip), ServiceKey(*_key(vip)), EndpointNodes(ready, draining))
        self._change("slices", slices={**self.now.slices, _key(vip): one})

    def regroup(self, name: str, aggregation: str) -> None:
        """The IPv4 addresses of a ServiceGroup are routed with another aggregation."""
        pools = {family: dict(pool) for family, pool in POOLS[name].items()}
        pools["v4pool"]["aggregation"] = aggregation
        one = parse_service_group(group(name, pools))
        self._change("groups", groups={**self.now.groups, ObjectKey(one.namespace, name): one})

    def choose(self, vip: IPAddress, nodes: frozenset[str] | None) -> None:
        """The nodeSelector of the group that has ``vip`` chooses these nodes; None: it has none any more."""
        key, one = next((key, one) for key, one in self.now.groups.items() if one.pool_of(vip))
        self._change("groups", groups={**self.now.groups, key: replace(one, announcers=nodes)})

    def configure(self, name: str, local: Mapping[str, Any] | None, labels: Mapping[str, str] | None = None) -> None:
        """An LBNodeAgent says this, for the nodes with these labels."""
        spec: dict[str, Any] = {"local": dict(local)} if local is not None else {}
        if labels:
            spec["nodeSelector"] = {"matchLabels": dict(labels)}
        one = parse_node_agent({"metadata": {"name": name, "namespace": "purelb"}, "spec": spec})
        self._change("configs", configs={**self.now.configs, ObjectKey("purelb", name): one})

    def node(self, name: str, **change: Any) -> None:
        """A Node is labelled, cordoned, or no longer."""
        self._change("nodes", nodes={**self.now.nodes, name: replace(self.now.nodes[name], **change)})

    def label(self, name: str, label: str, *, is_there: bool) -> None:
        """A Node has a label, or no longer."""
        others = {key: value for key, value in self.now.nodes[name].labels.items() if key != label}
        self.node(name, labels={**others, label: "yes"} if is_there else others)

    def _change(self, kind: Kind, **change: Any) -> None:
        self._past = [*self._past[-MOST_PAST:], self.now]
        self.now = replace(self.now, version=self.now.version + 1, **change)
        if self.is_there:
            self._say(self.now, (kind,) if self.told is self._past[-1] else KINDS)

    # --- what happens to it ------------------------------------------------------------------------------------------

    def go_away(self) -> None:
        self.is_there = False

    def come_back(self) -> None:
        """It is there again: all is listed anew."""
        self.is_there = True
        self._say(self.now, KINDS)

    def tell_the_past(self, steps: int) -> None:
        """Lists come from a server that is so many changes behind."""
        if self.is_there and self._past:
            self._say(self._past[-min(steps, len(self._past))], KINDS)

    def catch_up(self) -> None:
        """That server knows the present too."""
        if self.is_there:
            self._say(self.now, KINDS)

    def restore_backup(self, steps: int) -> None:
        """All is as it was so many changes ago, and so are the versions."""
        if self._past:
            self.now = self._past[-min(steps, len(self._past))]
            self._past = self._past[: -min(steps, len(self._past))]
            self.catch_up()

    def _say(self, what: Objects, kinds: tuple[Kind, ...]) -> None:
        self.told = what
        self.tell(kinds)

    @property
    def wanted(self) -> dict[IPAddress, ServiceView]:
        """The addresses that agents were told to announce."""
        return {vip: one for one in self.told.services.values() for vip in one.ingress}


def _key(vip: IPAddress) -> ObjectKey:
    return ObjectKey("default", str(vip).replace(":", "-"))


def service(vip: IPAddress, version: int, policy: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """A Service that was given ``vip``."""
    ours = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: group_of(vip)}
    namespace, name = _key(vip)
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "annotations": {**ours, **annotations},
        },
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": policy, "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": str(vip)}]}},
    }


def group(name: str, pools: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A ServiceGroup of v1."""
    return {
        "apiVersion": "purelb.io/v1",
        "metadata": {"name": name, "namespace": "purelb"},
        "spec": {"local": {family: dict(pool) for family, pool in pools.items()}},
    }
