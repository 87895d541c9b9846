"""An agent's control plane: what it hears of the API, through the real tables, to what its data plane is told."""

from __future__ import annotations

from collections.abc import Iterable

from lbnodeagent.kubernetes.servicefeed import Consequences, ServiceFeed
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.messages import Configured, NodeExcluded, NodeFailing, Synced, Told, VipChanged
from purelb.nodeagents import NodeAgentConfig
from purelb.ordering import Replaced
from tests.lbnodeagent.stage.api import KINDS, Kind, Objects


class ControlPlane:
    """Of one run of the agent of a node. It hears lists: an event of a watch is one that differs a little."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._feed = ServiceFeed(WantedTable())
        self._missing = set(KINDS)
        self._objects: dict[Kind, Objects] = {}
        self._config: NodeAgentConfig | None = None
        self._is_excluded: bool | None = None
        self._failing: NodeFailing | None = None

    @property
    def is_synced(self) -> bool:
        """Whether everything was heard once."""
        return not self._missing

    def hear(self, kind: Kind, objects: Objects) -> list[Told]:
        """All objects of a kind; what is to be told."""
        was_synced = self.is_synced
        self._objects[kind] = objects
        self._missing.discard(kind)
        told = [*self._wanted(kind, objects), *self._circumstances(kind)]
        return told if was_synced or not self.is_synced else [*told, Synced()]

    def _wanted(self, kind: Kind, objects: Objects) -> Iterable[Told]:
        version = str(objects.version)
        match kind:
            case "services":
                then = self._feed.services(Replaced(objects.services, version, 0))
            case "groups":
                then = self._feed.groups(Replaced(objects.groups, version, 0))
            case "slices":
                then = self._feed.slices(Replaced(objects.slices, version, 0))
            case _:
                then = Consequences()
        return [VipChanged(vip, wanted) for vip, wanted in then.vips.items()]

    def _circumstances(self, kind: Kind) -> Iterable[Told]:
        """How this node is configured, and whether it's to be spared."""
        if kind not in ("configs", "nodes"):
            return
        nodes, configs = self._objects.get("nodes"), self._objects.get("configs")
        if nodes is None or configs is None:
            return
        both = Objects(configs=configs.configs, nodes=nodes.nodes)
        config, is_excluded = both.config_of(self._node), nodes.nodes[self._node].is_excluded
        if config != self._config:
            self._config = config
            yield Configured(config)
        if is_excluded != self._is_excluded:
            self._is_excluded = is_excluded
            yield NodeExcluded(is_excluded)
        failing = NodeFailing(nodes.nodes[self._node].failure)
        if failing != self._failing:
            self._failing = failing
            yield failing
