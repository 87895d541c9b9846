"""What an agent follows of the API, as one stream of values.

Services, ServiceGroups, EndpointSlices and LBNodeAgents of the whole cluster; its own Node and the gossip Secret, each
as a collection of one, which Kubernetes lets those see who may see that one; and the pods of the other agents. It owns
the followers and the queue in which their news meets the API server's answers to our own requests. What news means is
the feeds'.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lbnodeagent.kubernetes.gossipkey import GossipSecret, parse_secret
from lbnodeagent.kubernetes.nodefeed import AgentPod, OwnNode, agent_pod, parse_node
from lbnodeagent.kubernetes.servicefeed import parse_group, parse_service
from purelb import names
from purelb.answers import JsonObject
from purelb.endpoints import EndpointSlice, endpoint_slice
from purelb.follow import Follower, Source, complaint, pour, whole
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.ordering import Changed, News, Replaced
from purelb.recovery import Recovery
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceView
from purelb.settings import AgentSettings

BEHIND: Final = 5.0
"""Seconds for which changes of Services may go unseen before peers are told so: an API server restarts in less."""


@dataclass(frozen=True, slots=True)
class OfServices:
    """News of Services."""

    news: News[ServiceView]


@dataclass(frozen=True, slots=True)
class OfGroups:
    """News of ServiceGroups."""

    news: News[ServiceGroup]


@dataclass(frozen=True, slots=True)
class OfSlices:
    """News of EndpointSlices."""

    news: News[EndpointSlice]


@dataclass(frozen=True, slots=True)
class OfAgents:
    """News of LBNodeAgents, as they are in the API: there are few."""

    news: News[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OfNode:
    """News of this node's own Node."""

    news: News[OwnNode]


@dataclass(frozen=True, slots=True)
class OfPods:
    """News of the other agents' pods."""

    news: News[AgentPod]


@dataclass(frozen=True, slots=True)
class OfSecret:
    """News of the Secret with the gossip's keys."""

    news: News[GossipSecret]


Heard: TypeAlias = OfServices | OfGroups | OfSlices | OfAgents | OfNode | OfPods | OfSecret


class Following:
    """One follower per kind."""

    def __init__(self, kube: Kube, metrics: AgentMetrics, settings: AgentSettings) -> None:
        rng, clock, node = random.Random(), time.monotonic, settings.node_name
        recovery = self._recovery = Recovery()
        namespace = settings.common.namespace
        pods = Source("agents' pods", core_path("pods", settings.gossip_namespace), _labelled(settings.gossip_labels))
        secret = Source(f"Secret {names.GOSSIP_SECRET}", core_path("secrets", namespace), _named(names.GOSSIP_SECRET))
        self.services: Follower[ServiceView] = Follower(
            kube, Source("Services", services_path()), parse_service, clock=clock, rng=rng, recovery=recovery
        )
        self.groups: Follower[ServiceGroup] = Follower(
            kube,
            Source("ServiceGroups", custom_path(names.SERVICE_GROUPS)),
            parse_group,
            clock=clock,
            rng=rng,
            recovery=recovery,
        )
        self.slices: Follower[EndpointSlice] = Follower(
            kube,
            Source("EndpointSlices", group_path("discovery.k8s.io/v1", "endpointslices")),
            endpoint_slice,
            clock=clock,
            rng=rng,
            recovery=recovery,
        )
        self.agents: Follower[Mapping[str, Any]] = Follower(
            kube,
            Source("LBNodeAgents", custom_path(names.LB_NODE_AGENTS)),
            whole,
            clock=clock,
            rng=rng,
            recovery=recovery,
        )
        self.node: Follower[OwnNode] = Follower(
            kube,
            Source("own Node", core_path("nodes"), _named(node)),
            parse_node,
            clock=clock,
            rng=rng,
            recovery=recovery,
        )
        self.pods: Follower[AgentPod] = Follower(
            kube, pods, lambda pod: agent_pod(pod, node), clock=clock, rng=rng, recovery=recovery
        )
        self.secret: Follower[GossipSecret] | None = None
        """None where settings say the key."""
        if settings.gossip_key is None:
            self.secret = Follower(kube, secret, parse_secret, clock=clock, rng=rng, recovery=recovery)
        for one in self._all():
            one.show(metrics)

    async def recovered(self) -> None:
        """Until the API server serves again one of those that it had failed."""
        await self._recovery.wait()

    def trouble(self, now: float) -> str | None:
        """What can't be followed for longer than PATIENCE, in one sentence; ``now`` is monotonic seconds."""
        return complaint((one.standing for one in self._all()), now)

    def are_services_behind(self, now: float) -> bool:
        """Whether what has become of Services is unknown for longer than BEHIND."""
        since = self.services.standing.behind_since
        return since is not None and now - since >= BEHIND

    def _all(self) -> Iterator[Follower[Any]]:
        yield from (self.services, self.groups, self.slices, self.agents, self.node, self.pods)
        if self.secret is not None:
            yield self.secret


def _named(name: str) -> Mapping[str, str]:
    return {"fieldSelector": f"metadata.name={name}"}


def _labelled(selector: str) -> Mapping[str, str]:
    return {"labelSelector": selector} if selector else {}


class ServiceAnswers:
    """Where the API server's answers about Services go: into the same stream, unless they are overtaken."""

    def __init__(self, services: Follower[ServiceView]) -> None:
        self._services = services
        self.waiting: asyncio.Queue[Heard] = asyncio.Queue()
        """Who takes from it waits for nothing else: there is never more in it than came in one turn of the loop."""

    @property
    def epoch(self) -> int:
        """To be noted when a request is sent."""
        return self._services.epoch

    def answered(self, body: JsonObject, epoch: int) -> None:
        """The API server answered with this Service to a request of ``epoch``."""
        change = self._services.answered(body, epoch)
        if change is not None:
            self.waiting.put_nowait(OfServices(change))


async def merged(
    following: Following, answers: ServiceAnswers, tasks: asyncio.TaskGroup
) -> AsyncGenerator[Heard, None]:
    """What happens, in one order; without end. The followers run in ``tasks``."""
    queue = answers.waiting
    tasks.create_task(pour(following.services, OfServices, queue))
    tasks.create_task(pour(following.groups, OfGroups, queue))
    tasks.create_task(pour(following.slices, OfSlices, queue))
    tasks.create_task(pour(following.agents, OfAgents, queue))
    tasks.create_task(pour(following.node, OfNode, queue))
    tasks.create_task(pour(following.pods, OfPods, queue))
    if following.secret is not None:
        tasks.create_task(pour(following.secret, OfSecret, queue))
    while True:
        yield await queue.get()


class Learned:
    """What was heard as a whole. Whether a follower has listed says nothing: its list may still wait to be heard.

    Pods and Secret aren't waited for: what is wanted doesn't depend on them.
    """

    def __init__(self) -> None:
        self._missing: set[type[Heard]] = {OfServices, OfGroups, OfSlices, OfAgents, OfNode}

    def heard(self, heard: Heard) -> None:
        """This was passed on."""
        match heard:
            case OfNode(Replaced(items)) if not items:
                return  # an agent may be there before its node is registered
            case OfNode(Changed()):
                self._missing.discard(OfNode)
            case _ if isinstance(heard.news, Replaced):
                self._missing.discard(type(heard))

    @property
    def lacks_node(self) -> bool:
        """Whether this node's Node was not seen yet."""
        return OfNode in self._missing

    def is_all(self, *, needs_slices: bool) -> bool:
        """Whether all that decides what is wanted was."""
        return not (self._missing if needs_slices else self._missing - {OfSlices})
