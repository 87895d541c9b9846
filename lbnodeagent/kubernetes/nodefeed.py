"""Looks at this node's own Node object, and where the other agents' pods are."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from lbnodeagent.messages import NodeExcluded, PeersKnown
from purelb.errors import KubeError
from purelb.kube import FROM_CACHE, Kube, core_path
from purelb.retry import persist
from purelb.settings import AgentSettings

log = logging.getLogger(__name__)

NODE_LOOK: Final = 5.0
"""Seconds between two looks at this node's own Node object (labels, cordon)."""
PEERS_LOOK: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between two lists of the agents' pods; the last value repeats."""
EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"


class NodeFeed:
    """Used from the control plane's loop only."""

    def __init__(
        self,
        settings: AgentSettings,
        kube: Kube,
        tell: Callable[[NodeExcluded | PeersKnown], None],
        on_labels: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._settings = settings
        self._kube = kube
        self._tell = tell
        self._on_labels = on_labels
        self._path = core_path("nodes", name=settings.node_name)

    async def learn(self) -> None:
        """Read the Node object once."""
        self._look_at(await persist("this node's Node object", lambda: self._kube.get(self._path)))

    async def follow_node(self) -> None:
        """Labels decide which configuration applies; a label or a cordon keeps VIPs away. Until cancelled."""
        while True:
            try:
                self._look_at(await self._kube.get(self._path, **FROM_CACHE))
            except KubeError as error:
                log.debug("own node not read", extra={"reason": str(error)})
            await asyncio.sleep(NODE_LOOK)

    def _look_at(self, node: Mapping[str, Any]) -> None:
        labels = dict(node["metadata"].get("labels") or {})
        is_cordoned = bool((node.get("spec") or {}).get("unschedulable"))
        self._tell(NodeExcluded(is_cordoned or EXCLUDE_LABEL in labels))
        self._on_labels(labels)

    async def find_peers(self) -> None:
        """The addresses of the other agents' pods; with the API server away, the last known ones stay."""
        settings, turn = self._settings, 0
        query = dict(FROM_CACHE)
        if settings.gossip_labels:
            query["labelSelector"] = settings.gossip_labels
        while True:
            try:
                pods = await self._kube.list(core_path("pods", settings.gossip_namespace), **query)
            except KubeError as error:
                log.info("peers not listed", extra={"reason": str(error)})
            else:
                self._tell(PeersKnown(peer_addresses(pods.items, settings.node_name)))
            await asyncio.sleep(PEERS_LOOK[min(turn, len(PEERS_LOOK) - 1)] * random.uniform(0.8, 1.2))
            turn += 1


def peer_addresses(pods: list[dict[str, Any]], node: str) -> frozenset[str]:
    """Where other nodes' pods of this list can be reached."""
    return frozenset(
        pod["status"]["podIP"]
        for pod in pods
        if (pod.get("status") or {}).get("podIP") and (pod.get("spec") or {}).get("nodeName") not in (None, node)
    )
