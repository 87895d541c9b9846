"""Shows how full the groups are: Prometheus gauges and the status of ServiceGroups, at most once a second.

It reads the engine and never waits inside a decision; a status that can't be written is tried again at the next turn.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from allocator.groups.catalog import Catalog, GroupKey
from allocator.groups.configuration import Configuration
from allocator.groups.status import group_status, status_change
from allocator.ipam.engine import Engine, Usage
from allocator.sources.external import ExternalSources
from purelb import names
from purelb.addresses import Family
from purelb.errors import ConflictError, ForbiddenError, KubeError
from purelb.kube import Kube, custom_path
from purelb.metrics import AllocatorMetrics
from purelb.selectors import Selector

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two turns."""


class Publisher:
    """Publishes what the engine and the sources know of the groups in force."""

    def __init__(
        self,
        kube: Kube,
        engine: Engine,
        configuration: Configuration,
        external: ExternalSources,
        chosen: Callable[[Selector], list[str] | None],
        metrics: AllocatorMetrics,
        interval: float = INTERVAL,
    ) -> None:
        """``chosen``: the Nodes that a selector chooses, if that is known."""
        self._kube = kube
        self._engine = engine
        self._configuration = configuration
        self._external = external
        self._chosen = chosen
        self._metrics = metrics
        self._interval = interval
        self._shown: set[str] = set()
        self._troubles: dict[GroupKey, str] = {}

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            catalog = self._configuration.catalog
            if catalog is None:
                continue
            usages: dict[str, list[Usage]] = defaultdict(list)
            for usage in self._engine.usage():
                usages[usage.group].append(usage)
            shown = dict(usages)
            for name in catalog.groups.served:
                capacity = self._external.capacity(name)
                if capacity is not None:
                    sizes = capacity.size or {}
                    shown[name] = [
                        Usage(name, family, sizes.get(family, 0), capacity.in_use.get(family, 0)) for family in Family
                    ]
            self._show_gauges(shown)
            await self._write_statuses(catalog, usages)

    def _show_gauges(self, usages: dict[str, list[Usage]]) -> None:
        self._metrics.waiting.set(self._engine.waiting)
        for name in self._shown.difference(usages):
            self._metrics.forget_pool(name)
        for name, families in usages.items():
            self._metrics.pool_size.labels(name).set(sum(usage.size for usage in families))
            self._metrics.pool_in_use.labels(name).set(sum(usage.in_use for usage in families))
        self._shown = set(usages)

    async def _write_statuses(self, catalog: Catalog, usages: dict[str, list[Usage]]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        for key, verdict in catalog.verdicts.items():
            body = self._configuration.bodies.get(key)
            if body is None or body["metadata"].get("uid", "") != verdict.uid:
                continue
            before = body.get("status") or {}
            served = verdict.trouble is None
            wanted = group_status(
                verdict,
                usages[key.name] if served else (),
                before,
                now,
                capacity=self._external.capacity(key.name) if served else None,
                chosen=self._chosen(verdict.group.node_selector) if served and verdict.group is not None else None,
                source_trouble=self._external.trouble(key.name) if served else None,
            )
            patch = status_change(wanted, before)
            if patch:
                await self._write(key, body["metadata"].get("resourceVersion", ""), patch)

    async def _write(self, key: GroupKey, resource_version: str, status: dict[str, object]) -> None:
        path = custom_path(names.SERVICE_GROUPS, *key, "status")
        try:
            body = await self._kube.patch(path, {"metadata": {"resourceVersion": resource_version}, "status": status})
        except KubeError as error:
            match error:
                case ConflictError():
                    outcome = "conflict"
                case ForbiddenError():
                    outcome = "forbidden"
                case _:
                    outcome = "other"
            self._metrics.group_status_writes.labels(outcome).inc()
            if outcome != "conflict" and self._troubles.get(key) != str(error):
                self._troubles[key] = str(error)
                log.warning("status not written", extra={"group": str(key), "reason": str(error)})
            return
        self._troubles.pop(key, None)
        self._metrics.group_status_writes.labels("success").inc()
        self._configuration.written(body)
