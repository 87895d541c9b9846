"""Writes the object that says who is there, while this node speaks for all. When, and whether it may: publication.py.

Each write carries the resourceVersion of what it was decided on. It waits for the API as long as it takes; nothing
waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import math
from typing import Final

from lbnodeagent.kubernetes.publication import Publication, Published, published
from purelb import names
from purelb.backoff import Backoff
from purelb.errors import ConflictError, ForbiddenError, KubeError, NotFoundError, UnavailableError
from purelb.kube import Kube, custom_path
from purelb.membership import NAME, Attendance, membership_status
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)

REQUESTS: Final = frozenset({"read memberships", "create memberships", "patch memberships/status"})
"""As rights.py names them. What installed PureLB may be older than the agent and lack these rights; all else works."""
AGAIN: Final = 0.2
"""Seconds until what somebody else has changed or deleted meanwhile is looked at."""
NO_SUCH_KIND: Final = 404
"""HTTP status of a path that isn't served."""
UNSERVED: Final = 60.0
"""Seconds until it is tried again where the CRD is missing, or the right."""
BACKOFF: Final = Backoff(0.5, 5.0)
NO_CRD: Final = "the CRD memberships.purelb.io is not there: apply PureLB's manifests, which bring it"


class Publisher:
    """``run`` it; used from the control plane's loop only."""

    def __init__(self, node: str, namespace: str, kube: Kube, metrics: AgentMetrics) -> None:
        self._node = node
        self._collection = custom_path(names.MEMBERSHIPS, namespace)
        self._object = custom_path(names.MEMBERSHIPS, namespace, NAME)
        self._status = custom_path(names.MEMBERSHIPS, namespace, NAME, "status")
        self._kube = kube
        self._metrics = metrics
        self._publication = Publication(node)
        self._there: Published | None = None
        """What the object says; None: that must be read."""
        self._delays = BACKOFF.delays()
        self._complaint = ""
        self._told = ""
        self._wake = asyncio.Event()

    def attends(self, attendance: Attendance) -> None:
        """The data plane says who is there."""
        self._publication.attends(attendance)
        if not attendance.nodes:
            self._there = None
        self._wake.set()

    async def run(self) -> None:
        """Write what is to be written, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            at = self._publication.deadline
            if at <= loop.time():
                await self._publish()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if at == math.inf else at):
                    await self._wake.wait()

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        was_there = self._there is not None
        try:
            await self._write()
        except KubeError as error:
            self._there = None
            if isinstance(error, ConflictError) or (isinstance(error, NotFoundError) and was_there):
                self._publication.failed(loop.time() + AGAIN)
                return
            is_unserved = isinstance(error, ForbiddenError) or error.status == NO_SUCH_KIND
            delay = UNSERVED if is_unserved else error.retry_after or next(self._delays)
            self._publication.failed(loop.time() + delay)
            self._metrics.update_errors.inc()
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("who is there can't be published", extra={"reason": self._complaint})
        else:
            self._delays, self._complaint = BACKOFF.delays(), ""

    async def _write(self) -> None:
        """Write what is wanted now, if this node may. Raises KubeError."""
        loop = asyncio.get_running_loop()
        if self._there is None:
            self._there = await self._read()
        elif self._publication.is_check(loop.time()):
            before, self._there = self._there, await self._read()
            if self._there.version == before.version:
                self._publication.checked(loop.time())
                return
        wanted, there = self._publication.wanted, self._there
        if not wanted.nodes:
            return  # meanwhile another node speaks for all
        if not self._publication.may_write(there, loop.time()):
            self._there = None
            return
        status = membership_status(
            {node.name: node for node in wanted.nodes},
            wanted.vips,
            spokesman=self._node,
            nowhere=wanted.nowhere,
            known=there.conditions,
            observed=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        body = {"metadata": {"resourceVersion": there.version}, "status": status}
        answer = await self._kube.patch(self._status, body)
        self._there = published(answer)
        self._publication.written(wanted, loop.time())
        told = f"{status['serving']} {status['others']}"
        if told != self._told:
            self._told = told
            log.info("who is there", extra={"serving": status["serving"], "others": status["others"]})

    async def _read(self) -> Published:
        """What the object says; it is made where it is missing. Raises KubeError."""
        try:
            return published(await self._kube.get(self._object))
        except NotFoundError:
            pass
        except UnavailableError as error:
            if error.status != NO_SUCH_KIND:
                raise
            raise UnavailableError(NO_CRD, status=error.status) from error
        body = {
            "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
            "kind": "Membership",
            "metadata": {"name": NAME, "labels": names.labels_of_made(names.AGENT_COMPONENT)},
        }
        return published(await self._kube.create(self._collection, body))
