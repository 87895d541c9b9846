"""Keeps a Lease ``purelb-node-<node>`` in our namespace, as PureLB v0.17's agents do, for whoever reads those.

It also says what the agent finds wrong around its node, for ``kubectl purelb doctor``. For information alone: no
program of ours waits for it or is less ready without it. It is written when what it says changes and renewed slowly,
belongs to the Node, so that it goes with it, and is taken away when the agent leaves.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import random
from collections.abc import Iterable
from typing import Any, Final

from purelb import names
from purelb.addresses import IPNetwork
from purelb.errors import ForbiddenError, KubeError
from purelb.kube import APPLY_PATCH, Kube, group_path

log = logging.getLogger(__name__)

DURATION: Final = 180
"""Seconds for which it counts as fresh to its readers: how late they see that a node died. A thousand agents write 20
Leases a second with this; with v0.17's 10 s they would write 200."""
RENEW: Final = (40.0, 60.0)
"""Seconds between two renewals, anything between the two: agents that start together don't go on to write together."""
RETRY: Final = 20.0
"""Seconds until a write that failed is tried again."""
FORBIDDEN: Final = 900.0
"""Likewise, without the right to it: longer than a refusal counts for readiness (rights.py), which this must not."""
CALM: Final = 2.0
"""Seconds between two writes at least, however often a cable comes and goes."""
MOST: Final = 256
"""Subnets that are named; v0.17 reads no more."""
COORDINATION: Final = "coordination.k8s.io/v1"


class NodeLease:
    """``run`` it, then ``leave``; used from the control plane's loop only."""

    def __init__(self, node: str, namespace: str, instance: str, kube: Kube, chance: random.Random) -> None:
        """``instance``: our pod's uid, or nothing."""
        self._node = node
        self._namespace = namespace
        self._instance = instance
        self._kube = kube
        self._chance = chance
        self._path = group_path(COORDINATION, "leases", namespace, names.NODE_LEASE + node)
        self._owner: str | None = None
        self._subnets: tuple[str, ...] | None = None
        self._said: dict[str, str] = {}
        """Annotations beside those of v0.17."""
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._written: dict[str, Any] | None = None
        self._refusal = ""
        self._has_left = False

    def node_is(self, uid: str) -> None:
        """The uid of our Node, to which the Lease belongs."""
        if uid != self._owner:
            self._owner = uid
            self._changed.set()

    def subnets_are(self, subnets: Iterable[IPNetwork]) -> None:
        """On which subnets this node announces."""
        ordered = sorted(subnets, key=lambda one: (one.version, one.network_address, one.prefixlen))
        told = tuple(map(str, ordered[:MOST]))
        if told != self._subnets:
            self._subnets = told
            self._changed.set()

    def says(self, annotation: str, text: str) -> None:
        """What one of our own annotations is to say."""
        if self._said.get(annotation) != text:
            self._said[annotation] = text
            self._changed.set()

    async def run(self) -> None:
        """Write and renew it, until cancelled."""
        pause: float | None = None
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self._owner is None or self._subnets is None:
                continue
            pause = await self._write(self._owner, self._subnets)
            await asyncio.sleep(CALM)

    async def leave(self, timeout: float) -> None:
        """Take it away if it is still as we wrote it last, within ``timeout`` seconds; else it goes stale by itself."""
        try:
            async with asyncio.timeout(timeout), self._writing:
                self._has_left = True
                if self._written is None:
                    return
                metadata = self._written["metadata"]
                still = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
                await self._kube.delete(self._path, {"preconditions": still})
        except (TimeoutError, KubeError) as error:
            log.info("the node's Lease is left behind", extra={"reason": str(error)})

    async def _write(self, owner: str, subnets: tuple[str, ...]) -> float:
        """Returns after how many seconds to do so again."""
        async with self._writing:
            if self._has_left:
                return FORBIDDEN
            try:
                self._written = await self._kube.patch(
                    self._path,
                    self._body(owner, subnets),
                    APPLY_PATCH,
                    fieldManager=names.AGENT_COMPONENT,
                    force="true",
                )
            except KubeError as error:
                if str(error) != self._refusal:
                    self._refusal = str(error)
                    log.info("the node's Lease is not written", extra={"reason": self._refusal})
                return FORBIDDEN if isinstance(error, ForbiddenError) else RETRY
            self._refusal = ""
            return self._chance.uniform(*RENEW)

    def _body(self, owner: str, subnets: tuple[str, ...]) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": COORDINATION,
            "kind": "Lease",
            "metadata": {
                "name": names.NODE_LEASE + self._node,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/name": "purelb", "app.kubernetes.io/component": "lbnodeagent"},
                "annotations": {
                    names.LEASE_SUBNETS: ",".join(subnets),
                    names.LEASE_INSTANCE: self._instance,
                    **self._said,
                },
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": owner}],
            },
            "spec": {"holderIdentity": self._node, "leaseDurationSeconds": DURATION, "renewTime": now},
        }
