"""This node's own Node object, and where the other agents' pods are: from news of the API to the data plane.

Pure. A Node that is gone counts as one that is cordoned: whatever it had is better elsewhere. Its labels, and all that
is known of the pods, stay as they were for as long as the API server says nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from lbnodeagent.gate.failures import Failure
from lbnodeagent.kubernetes.nodeconditions import failure_of
from lbnodeagent.messages import NodeAddresses, NodeExcluded, NodeFailing, Peer, PeersKnown
from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError
from purelb.ordering import Changed, Deleted, News, ObjectKey, Replaced

EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"


@dataclass(frozen=True, slots=True)
class OwnNode:
    """What an agent reads of its Node."""

    labels: Mapping[str, str]
    is_excluded: bool
    """A label or a cordon keeps VIPs away."""
    addresses: NodeAddresses = field(default_factory=NodeAddresses)
    """Where the node is; host names are left out."""
    uid: str = ""
    failure: Failure | None = None
    """What it says against the node's data path."""


@dataclass(frozen=True, slots=True)
class AgentPod:
    """What an agent reads of another one's pod."""

    peer: Peer
    runs: bool
    """Whether an agent runs there that should be heard."""


@dataclass(frozen=True, slots=True)
class NodeNews:
    """What follows from news of the Node."""

    told: tuple[NodeExcluded | NodeFailing | NodeAddresses, ...]
    """For the data plane."""
    node: OwnNode | None
    """As it is; None while there is none, and then what was known of its labels holds."""


@dataclass(frozen=True, slots=True)
class PodsNews:
    """What follows from news of the other agents' pods."""

    told: tuple[PeersKnown, ...]
    """For the data plane."""
    running: frozenset[str]
    """The other nodes where an agent runs that should be heard."""


class NodeFeed:
    """Used from one loop."""

    def __init__(self) -> None:
        self._pods: dict[ObjectKey, AgentPod] = {}
        self._told: PeersKnown | None = None
        self._addresses = NodeAddresses()
        self._failing: NodeFailing | None = None

    def node(self, news: News[OwnNode]) -> NodeNews:
        """Of the one Node that is followed."""
        match news:
            case Replaced(items):
                known = next(iter(items.values()), None)
            case Changed(_, item):
                known = item
            case Deleted():
                known = None
            case _:
                assert_never(news)
        told: list[NodeExcluded | NodeFailing | NodeAddresses] = []
        failing = NodeFailing(known.failure if known is not None else None)
        if failing != self._failing:
            self._failing = failing
            told.append(failing)
        told.append(NodeExcluded(known is None or known.is_excluded))
        if known is not None and known.addresses != self._addresses:
            self._addresses = known.addresses
            told.append(known.addresses)
        return NodeNews(tuple(told), known)

    def pods(self, news: News[AgentPod]) -> PodsNews:
        """Of other nodes' agents."""
        match news:
            case Replaced(items):
                self._pods = dict(items)
            case Changed(key, pod):
                self._pods[key] = pod
            case Deleted(key):
                self._pods.pop(key, None)
            case _:
                assert_never(news)
        running = frozenset(pod.peer.node for pod in self._pods.values() if pod.runs)
        known = PeersKnown(frozenset(pod.peer for pod in self._pods.values()), running)
        is_news = known != self._told
        self._told = known
        return PodsNews((known,) if is_news else (), running)


def parse_node(body: Mapping[str, Any]) -> OwnNode:
    """A Node, without the images and the rest of which it has many kilobytes."""
    metadata = body["metadata"]
    labels = dict(metadata.get("labels") or {})
    is_cordoned = bool((body.get("spec") or {}).get("unschedulable"))
    addresses = NodeAddresses(frozenset(_addresses(body, "InternalIP")), frozenset(_addresses(body, "ExternalIP")))
    is_excluded = is_cordoned or EXCLUDE_LABEL in labels
    return OwnNode(labels, is_excluded, addresses, metadata.get("uid") or "", failure_of(body))


def _addresses(body: Mapping[str, Any], kind: str) -> Iterator[IPAddress]:
    for entry in (body.get("status") or {}).get("addresses") or ():
        if entry.get("type") == kind:
            with contextlib.suppress(AddressError):
                yield parse_address(entry.get("address") or "")


def agent_pod(pod: Mapping[str, Any], node: str) -> AgentPod | None:
    """A pod that can be reached; None if it can't yet, or runs on ``node`` itself."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    where, address = spec.get("nodeName"), status.get("podIP")
    if not address or not where or where == node:
        return None
    # An agent is on its node's network; without a label selector other pods are listed too.
    return AgentPod(Peer(where, address), bool(spec.get("hostNetwork")) and _runs(pod["metadata"], status))


def _runs(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether its program runs, ready or not: one may not be ready just because it isn't heard.

    The node's lifecycle controller, which calls the pods of a dead node not ready, gives no such reason as kubelet's.
    """
    ready: Mapping[str, Any] = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    containers = status.get("containerStatuses") or ()
    return (
        status.get("phase") == "Running"
        and not metadata.get("deletionTimestamp")
        and (ready.get("status") == "True" or ready.get("reason") == "ContainersNotReady")
        and all((one.get("state") or {}).get("running") is not None for one in containers)
    )
