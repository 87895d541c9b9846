"""What the allocator follows of the API, as one stream of values: Services, ServiceGroups, the cluster's own addresses,
and what placement goes by.

It owns the followers. What news means is the controller's and the configuration's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from allocator.reconcile.clusterobjects import SOURCES, Part, Reading, parser
from allocator.reconcile.fleet import AgentRule, Said, read_membership, read_rule
from purelb import names
from purelb.answers import JsonObject
from purelb.endpoints import EndpointSlice, endpoint_slice
from purelb.follow import Follower, Source, complaint, pour, whole
from purelb.kube import Kube, custom_path, group_path, services_path
from purelb.membership import NAME
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Change, News, Replaced
from purelb.recovery import Recovery
from purelb.services import ServiceView, view_service


@dataclass(frozen=True, slots=True)
class OfServices:
    """News of Services."""

    news: News[ServiceView]


@dataclass(frozen=True, slots=True)
class OfGroups:
    """News of ServiceGroups, as they are in the API: there are few."""

    news: News[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OfCluster:
    """News of a part of the cluster that has addresses itself: what is read of each object."""

    part: Part
    news: News[Reading]


@dataclass(frozen=True, slots=True)
class OfMembership:
    """News of who takes part in the agents' gossip."""

    news: News[Said]


@dataclass(frozen=True, slots=True)
class OfNodeAgents:
    """News of LBNodeAgents: what they say of placement."""

    news: News[AgentRule]


@dataclass(frozen=True, slots=True)
class OfSlices:
    """News of EndpointSlices that belong to Services."""

    news: News[EndpointSlice]


Heard: TypeAlias = OfServices | OfGroups | OfCluster | OfMembership | OfNodeAgents | OfSlices
Kind: TypeAlias = type[OfServices] | type[OfGroups] | type[OfMembership] | type[OfNodeAgents] | type[OfSlices] | Part
KINDS: Final[frozenset[Kind]] = frozenset((OfServices, OfGroups, *Part))
"""What must be known before an address is given; the others are for placement, which nobody waits for."""

MEMBERSHIP: Final[Mapping[str, str]] = {"fieldSelector": f"metadata.name={NAME}"}
"""The one that counts."""


class Following:
    """All kinds; iterate over ``news``, one at a time."""

    def __init__(self, kube: Kube, namespace: str, metrics: AllocatorMetrics, clock: Callable[[], float]) -> None:
        """``namespace``: PureLB's, where the Membership is."""
        rng = random.Random()
        self._recovery = Recovery()
        self._services: Follower[ServiceView] = Follower(
            kube, Source("Services", services_path()), view_service, clock=clock, rng=rng, recovery=self._recovery
        )
        self._groups: Follower[Mapping[str, Any]] = Follower(
            kube,
            Source("ServiceGroups", custom_path(names.SERVICE_GROUPS)),
            whole,
            clock=clock,
            rng=rng,
            recovery=self._recovery,
        )
        self._parts: dict[Part, Follower[Reading]] = {
            part: Follower(kube, source, parser(part), clock=clock, rng=rng, recovery=self._recovery)
            for part, source in SOURCES.items()
        }
        self._all: tuple[Follower[Any], ...] = (self._services, self._groups, *self._parts.values())
        membership = Source("Membership", custom_path(names.MEMBERSHIPS, namespace), MEMBERSHIP, may_lack=True)
        self._membership: Follower[Said] = Follower(kube, membership, read_membership, clock=clock, rng=rng)
        self._node_agents: Follower[AgentRule] = Follower(
            kube, Source("LBNodeAgents", custom_path(names.LB_NODE_AGENTS)), read_rule, clock=clock, rng=rng
        )
        self._optional: tuple[Follower[Any], ...] = (self._membership, self._node_agents)
        for one in (*self._all, *self._optional):
            one.show(metrics)
        slices = Source("EndpointSlices", group_path("discovery.k8s.io/v1", "endpointslices"))
        self._slices: Follower[EndpointSlice] = Follower(kube, slices, endpoint_slice, clock=clock, rng=rng)
        self._wants_slices = asyncio.Event()
        self._metrics = metrics

    @property
    def is_listed(self) -> bool:
        """Whether everything was listed once."""
        return all(one.standing.is_synced for one in self._all)

    def trouble(self, now: float) -> str | None:
        """What can't be followed for longer than PATIENCE, in one sentence; ``now`` is monotonic seconds."""
        return complaint((one.standing for one in self._all), now)

    async def recovered(self) -> None:
        """Until the API server serves somebody of us again that it had failed."""
        await self._recovery.wait()

    def want_endpoints(self) -> None:
        """Follow EndpointSlices from now on: of all kinds they are the most, and change the most often."""
        if not self._wants_slices.is_set():
            self._slices.show(self._metrics)
            self._wants_slices.set()

    @property
    def epoch(self) -> int:
        """To be noted when a request about a Service is sent."""
        return self._services.epoch

    def answered(self, body: JsonObject, epoch: int) -> Change[ServiceView] | None:
        """What the answer to a request of ``epoch`` says of a Service; None: nothing that isn't known or overtaken."""
        return self._services.answered(body, epoch)

    async def news(self, tasks: asyncio.TaskGroup) -> AsyncGenerator[Heard, None]:
        """What happens, in one order; it begins with lists of what is then, whatever was heard before.

        The followers run in ``tasks``; cancel them with all that is in it.
        """
        heard: asyncio.Queue[Heard] = asyncio.Queue(maxsize=1)
        for one in (*self._all, *self._optional, self._slices):
            one.begin_again()
        tasks.create_task(pour(self._services, OfServices, heard))
        tasks.create_task(pour(self._groups, OfGroups, heard))
        for part, follower in self._parts.items():
            tasks.create_task(pour(follower, partial(OfCluster, part), heard))
        tasks.create_task(pour(self._membership, OfMembership, heard))
        tasks.create_task(pour(self._node_agents, OfNodeAgents, heard))
        tasks.create_task(self._pour_slices(heard))
        while True:
            yield await heard.get()

    async def _pour_slices(self, heard: asyncio.Queue[Heard]) -> None:
        await self._wants_slices.wait()
        await pour(self._slices, OfSlices, heard)


def listed(heard: Heard) -> Kind | None:
    """The kind of which this is all that there is; None for a single change."""
    if not isinstance(heard.news, Replaced):
        return None
    return heard.part if isinstance(heard, OfCluster) else type(heard)
