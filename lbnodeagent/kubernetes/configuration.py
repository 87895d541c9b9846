"""Keeps the LBNodeAgents, chooses the one that applies to this node, and says what is wrong with them.

A wrong one leaves what was right before in force. What is wrong is a Warning event on the object, where its author
looks, and a series of ``purelb_lbnodeagent_config_errors``, where an alert looks, until it is right or gone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from lbnodeagent.messages import Configured
from lbnodeagent.tables import Surroundings
from purelb import names
from purelb.errors import SpecError
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import AgentMetrics
from purelb.names import DEFAULT_INTERFACE
from purelb.nodeagents import NodeAgentConfig, parse_node_agent
from purelb.ordering import Changed, Deleted, News, changes
from purelb.selection import Choice, choose_config
from purelb.selectors import SelectorError

Json: TypeAlias = Mapping[str, Any]
Trouble: TypeAlias = Literal["invalid", "node_selector", "interface", "return_path"]
"""Label ``reason`` of the metric."""

log = logging.getLogger(__name__)

STATES: Final = ("default", "configured", "deselected", "invalid")
"""PureLB v0.17's: there is no LBNodeAgent; one applies; none is for this node; none can be read."""


class Key(NamedTuple):
    """What identifies an LBNodeAgent."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Configuration:
    """This node's configuration, as LBNodeAgents and the node's labels change. Used from one loop.

    What may change it returns what the data plane is to be told, if anything is.
    """

    def __init__(self, node: str, events: EventRecorder, metrics: AgentMetrics) -> None:
        self._node = node
        self._events = events
        self._metrics = metrics
        self._configs: dict[Key, NodeAgentConfig] = {}
        self._refused: dict[Key, Trouble] = {}
        self._versions: dict[Key, str] = {}
        """The resourceVersion of each in the state that was looked at last."""
        self._labels: Mapping[str, str] = {}
        self._config: NodeAgentConfig | None = None
        self._ignored: tuple[NodeAgentConfig, ...] = ()
        self._missing: tuple[str, ...] = ()
        self._told_useless: set[tuple[str, str]] = set()
        self._told_missing: set[tuple[str, str]] = set()
        self._astray: tuple[str, ...] = ()
        self._told_astray: set[tuple[str, str]] = set()
        self._is_synced = False

    # --- what happens ------------------------------------------------------------------------------------------------

    def agents(self, news: News[Json]) -> Configured | None:
        """News of LBNodeAgents; a list replaces all that was known."""
        told: Configured | None = None
        for change in changes(news, self._versions):
            match change:
                case Changed(_, body):
                    told = self._set(body) or told
                case Deleted(key):
                    told = self._drop(Key(*key)) or told
        return told

    def _set(self, body: Json) -> Configured | None:
        """One that a list repeats is no news: its author was told already what is wrong with it."""
        metadata = body["metadata"]
        key, version = Key(metadata.get("namespace", ""), metadata["name"]), metadata.get("resourceVersion", "")
        if version and self._versions.get(key) == version:
            return None
        self._versions[key] = version
        return self.observe_agent(body, is_gone=False)

    def _drop(self, key: Key) -> Configured | None:
        self._versions.pop(key, None)
        return self.observe_agent({"metadata": key._asdict()}, is_gone=True)

    def observe_agent(self, body: Json, *, is_gone: bool) -> Configured | None:
        """An LBNodeAgent came, changed or went."""
        metadata = body["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        before = self._refused.pop(key, None)
        if before is not None:
            self._metrics.config_errors.remove(str(key), before)
        if is_gone:
            self._configs.pop(key, None)
        else:
            try:
                self._configs[key] = parse_node_agent(body)
            except SpecError as error:
                self._refuse(key, metadata.get("uid", ""), error)
        return self._choose()

    def set_labels(self, labels: Mapping[str, str]) -> Configured | None:
        """This node's labels, now."""
        if labels == self._labels:
            return None
        self._labels = labels
        return self._choose()

    def synced(self) -> Configured | None:
        """Every LBNodeAgent and the labels are known: before that, none is chosen."""
        self._is_synced = True
        return self._choose()

    def looked_around(self, found: Surroundings) -> None:
        """What the data plane found of the interfaces that the configuration names."""
        self._missing = found.missing
        self._tell_missing()

    def answers_astray(self, reasons: tuple[str, ...]) -> None:
        """Why answers of some VIPs leave by another NIC than the configuration says; none: they don't."""
        self._astray = reasons
        self._tell_astray()

    def announces_nowhere(self) -> None:
        """No node announces anything, because none of the LBNodeAgents lets it; one of the agents hears so."""
        useless = {
            (config.uid, "has no local block" if not config.announces else "has a nodeSelector that matches no node")
            for config in self._configs.values()
        }
        for config in self._configs.values():
            for uid, why in useless - self._told_useless:
                if uid == config.uid:
                    text = f"no node announces anything: this LBNodeAgent {why}"
                    self._warn(config, names.REASON_CONFIG_ERROR, text)
        self._told_useless = useless

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _choose(self) -> Configured | None:
        if not self._is_synced:
            return None
        choice = choose_config(self._configs.values(), self._labels, is_any_refused=bool(self._refused))
        self._tell_ignored(choice)
        self._show_state(choice.config)
        if choice.config == self._config:
            return None
        self._config = choice.config
        if choice.config.announces:
            self._told_useless = set()
        self._metrics.config_loaded.set(choice.config.announces)
        log.info("configured", extra={"config": choice.config.name, "interface": choice.config.local_interface})
        self._tell_missing()
        self.answers_astray(())  # it is told anew
        return Configured(choice.config)

    def _show_state(self, config: NodeAgentConfig) -> None:
        if config.announces:
            state = "configured" if config.uid else "default"
        else:
            state = "invalid" if self._refused and not self._configs else "deselected"
        for one in STATES:
            self._metrics.selector_state.labels(one).set(one == state)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _tell_ignored(self, choice: Choice) -> None:
        winner = f"LBNodeAgent {choice.config.namespace}/{choice.config.name} takes precedence on node {self._node}"
        for ignored in choice.ignored:
            if ignored not in self._ignored:
                self._warn(ignored, names.REASON_CONFIG_IGNORED, winner)
        self._ignored = choice.ignored

    def _refuse(self, key: Key, uid: str, error: SpecError) -> None:
        log.warning("LBNodeAgent refused", extra={"config": str(key), "reason": str(error)})
        about = NodeAgentConfig(key.name, key.namespace, uid)
        is_kept = f"node {self._node} goes on with what was right before" if key in self._configs else ""
        if isinstance(error, SelectorError):
            self._set_trouble(key, "node_selector")
            effect = is_kept or "this LBNodeAgent applies to no node"
            text = f"nodeSelector could not be evaluated ({error}); {effect}"
            self._warn(about, names.REASON_INVALID_NODE_SELECTOR, text)
            return
        self._set_trouble(key, "invalid")
        effect = is_kept or f"node {self._node} is announcing nothing by it until this is fixed"
        self._warn(about, names.REASON_CONFIG_ERROR, f"invalid configuration: {error}; {effect}")

    def _set_trouble(self, key: Key, reason: Trouble) -> None:
        self._refused[key] = reason
        self._metrics.config_errors.labels(str(key), reason).set(1)

    def _tell_missing(self) -> None:
        """The interfaces that the configuration names and this node doesn't have."""
        config = self._config
        if config is None:
            return
        named = {*config.interfaces, config.local_interface}
        missing = {(config.uid, name) for name in self._missing if name in named}
        for _, name in sorted(missing - self._told_missing):
            text = f'node {self._node} has no interface that "{name}" stands for'
            if name == DEFAULT_INTERFACE:
                text += ": there is no default route in the main table, and no NIC with an address in a subnet"
            self._warn(config, names.REASON_CONFIG_ERROR, text)
        self._told_missing = missing
        self._show(config, "interface", is_so=bool(missing))

    def _tell_astray(self) -> None:
        """Why answers of some VIPs leave by another NIC than theirs."""
        config = self._config
        if config is None:
            return
        astray = {(config.uid, reason) for reason in self._astray if config.return_path is not None}
        for _, reason in sorted(astray - self._told_astray):
            text = f"node {self._node} has no return path (local.returnPath): {reason}"
            self._warn(config, names.REASON_CONFIG_ERROR, text)
        self._told_astray = astray
        self._show(config, "return_path", is_so=bool(astray))

    def _show(self, config: NodeAgentConfig, reason: Trouble, *, is_so: bool) -> None:
        """The metric, of this node's configuration alone."""
        key = str(Key(config.namespace, config.name))
        for labels in [labels for labels in self._shown(reason) if labels != key or not is_so]:
            self._metrics.config_errors.remove(labels, reason)
        if is_so:
            self._metrics.config_errors.labels(key, reason).set(1)

    def _shown(self, reason: Trouble) -> list[str]:
        """The objects for which the metric says so now."""
        (metric,) = self._metrics.config_errors.collect()
        return [sample.labels["config"] for sample in metric.samples if sample.labels["reason"] == reason]

    def _warn(self, config: NodeAgentConfig, reason: str, text: str) -> None:
        """A Warning event on an LBNodeAgent; the built-in one has no object."""
        if config.uid:
            api_version = f"{names.GROUP}/{names.READ_VERSION}"
            about = ObjectReference(api_version, "LBNodeAgent", config.namespace, config.name, config.uid)
            self._events.record(about, "Warning", reason, text)
