"""Says in the status of each LBNodeAgent to how many nodes it applies, and to which; if to none, why.

An agent can tell on its own node alone; the allocator knows the labels of all. Nothing hangs on what is written here.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from allocator.conditions import condition, timed
from allocator.reconcile.fleet import AgentRule, Agents
from purelb import names
from purelb.backoff import Backoff
from purelb.errors import ConflictError, KubeError
from purelb.kube import Kube, custom_path
from purelb.ordering import ObjectKey
from purelb.selection import choose_config

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks."""
REST: Final = 5
"""Intervals between two looks after one that found something to write. Each write reaches every agent's watch: nodes
that come and go, as with an autoscaler, are not to be one each."""
NAMED: Final = 10
"""How many nodes are named, by name the first ones; the others are counted."""
LONGEST: Final = 60
"""Intervals after which what can't be written is tried again at the latest. Where the CRD is one from before there were
statuses of LBNodeAgents, it never can."""


class AgentStatuses:
    """``run`` it while leading. ``known``: what was last seen; None while that isn't all."""

    def __init__(self, kube: Kube, known: Callable[[], Agents | None], interval: float = INTERVAL) -> None:
        self._kube = kube
        self._known = known
        self._interval = interval
        self._backoff = Backoff(first=2 * interval, most=LONGEST * interval)
        self._troubles: dict[ObjectKey, str] = {}

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        delays, told = self._backoff.delays(), -1
        while True:
            await asyncio.sleep(self._interval)
            known = self._known()
            if known is None or known.revision == told:
                continue
            found = statuses(known.rules, known.labels, datetime.datetime.now(datetime.UTC))
            versions = {key: known.rules[key].version for key in found}  # with the first write they may be others
            outcomes = [await self._write(key, versions[key], status) for key, status in found.items()]
            if all(outcomes):
                delays, told = self._backoff.delays(), known.revision
                if outcomes:
                    await asyncio.sleep(REST * self._interval)
            else:
                await asyncio.sleep(next(delays))

    async def _write(self, key: ObjectKey, version: str, status: Mapping[str, Any]) -> bool:
        """Whether nothing is left to do until something else is heard."""
        path = custom_path(names.LB_NODE_AGENTS, key.namespace, key.name, "status")
        try:
            await self._kube.patch(path, {"metadata": {"resourceVersion": version}, "status": status})
        except ConflictError:
            return True  # it has changed, which will be heard
        except KubeError as error:
            if self._troubles.get(key) != str(error):
                self._troubles[key] = str(error)
                log.warning("status not written", extra={"config": f"{key.namespace}/{key.name}", "reason": str(error)})
            return False
        self._troubles.pop(key, None)
        return True


def statuses(
    rules: Mapping[ObjectKey, AgentRule], labels: Mapping[str, Mapping[str, str]], now: datetime.datetime
) -> dict[ObjectKey, dict[str, Any]]:
    """The status of each that isn't as it should be; ``labels`` are those of each Node, by its name."""
    configs = [rule.config for rule in rules.values() if rule.config is not None]
    chosen: dict[ObjectKey, list[str]] = {key: [] for key in rules}
    for node, one in labels.items():
        config = choose_config(configs, one, is_any_refused=len(configs) < len(rules)).config
        if config.announces:
            chosen.setdefault(ObjectKey(config.namespace, config.name), []).append(node)
    found = {}
    for key, rule in rules.items():
        nodes = chosen[key]
        known = next((one for one in rule.status.get("conditions") or () if one.get("type") == "Ready"), None)
        wanted = {
            "nodes": len(nodes),
            "observedGeneration": rule.generation,
            "conditions": [timed(_ready(rule, nodes, labels), known, now)],
        }
        if any(rule.status.get(name) != value for name, value in wanted.items()):
            found[key] = wanted
    return found


def _ready(rule: AgentRule, nodes: Collection[str], labels: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    if rule.config is None:
        return condition("Ready", False, "Refused", rule.trouble)
    if not rule.announces:
        return condition("Ready", False, "NoLocalBlock", "without a local block nodes announce nothing by it")
    if nodes:
        return condition("Ready", True, "InUse", f"it applies to {len(nodes)} of {len(labels)} nodes: {_named(nodes)}")
    if any(rule.config.node_selector.matches(one) for one in labels.values()):
        return condition("Ready", False, "NotChosen", "another one takes precedence on each node that it matches")
    return condition("Ready", False, "NoNode", "its nodeSelector matches no node")


def _named(nodes: Collection[str]) -> str:
    """Always the same ones of the same nodes: what is said again isn't written again."""
    first = sorted(nodes)[:NAMED]
    others = len(nodes) - len(first)
    return ", ".join(first) + (f" and {others} more" if others else "")
