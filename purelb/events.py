"""Record Kubernetes Events: one sentence on the object, where ``kubectl describe`` shows it.

A repeated event raises the count of the first one, as client-go's recorder does (``x7 over 3m12s``); the same happens
while an event waits to be sent. Recording never blocks and never fails: events inform, nothing depends on them.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from purelb.errors import KubeError, NotFoundError, UnavailableError
from purelb.kube import Kube, core_path

EventType: TypeAlias = Literal["Normal", "Warning"]

log = logging.getLogger(__name__)

WAITING: Final = 10_000
"""Events that may wait to be sent; beyond that the oldest are dropped, counted and logged."""
REMEMBERED: Final = 4_096
"""Sent events whose count can still be raised (client-go's cache size)."""
RETRY: Final = 1.0
"""Seconds between two attempts while the API server is away."""
WORTH: Final = datetime.timedelta(hours=1)
"""For how long after it happened an event is worth sending: the API server forgets events after as long."""


class ObjectReference(NamedTuple):
    """What an event is about (core/v1 ObjectReference)."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


def reference(body: Mapping[str, Any], kind: str | None = None, api_version: str | None = None) -> ObjectReference:
    """The reference to an API object; items of a list carry no kind, so it can be given."""
    metadata = body["metadata"]
    return ObjectReference(
        api_version=api_version or body.get("apiVersion") or "v1",
        kind=kind or body.get("kind") or "Service",
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
    )


class _Event(NamedTuple):
    about: ObjectReference
    type: EventType
    reason: str
    message: str


@dataclass(slots=True)
class _Pending:
    count: int
    first: datetime.datetime
    last: datetime.datetime


@dataclass(slots=True)
class _Sent:
    namespace: str
    name: str
    count: int


class EventRecorder:
    """Collects events and sends them one after the other; ``run`` does the sending.

    ``component`` is the source that users see (``purelb-allocator``). Use it from one event loop only.
    """

    def __init__(self, kube: Kube, component: str) -> None:
        self._kube = kube
        self._component = component
        self._waiting: OrderedDict[_Event, _Pending] = OrderedDict()
        self._sent: OrderedDict[_Event, _Sent] = OrderedDict()
        self._wake = asyncio.Event()
        self._dropped = 0

    def record(self, about: ObjectReference, event_type: EventType, reason: str, message: str) -> None:
        """Note that something happened to ``about``. Never blocks, never raises."""
        event, now = _Event(about, event_type, reason, message), datetime.datetime.now(datetime.UTC)
        pending = self._waiting.get(event)
        if pending is not None:
            pending.count += 1
            pending.last = now
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popitem(last=False)
            self._dropped += 1
        self._waiting[event] = _Pending(1, now, now)
        self._wake.set()

    async def run(self) -> None:
        """Send what is recorded, until cancelled."""
        while True:
            await self._wake.wait()
            await self._drain()

    async def flush(self, timeout: float) -> None:
        """Send what waits, before a stop; gives up after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._drain()
        except TimeoutError:
            log.warning("events were not sent before the stop", extra={"events": len(self._waiting)})

    async def _drain(self) -> None:
        while self._waiting:
            event, pending = self._waiting.popitem(last=False)
            try:
                await self._send(event, pending)
            except UnavailableError as error:
                self._keep(event, pending)
                await asyncio.sleep(error.retry_after or RETRY)
            if self._dropped:
                log.warning("events were dropped, too many at once", extra={"events": self._dropped})
                self._dropped = 0
        self._wake.clear()

    async def _send(self, event: _Event, pending: _Pending) -> None:
        try:
            if not await self._raise_count(event, pending):
                await self._create(event, pending)
        except UnavailableError:
            raise
        except KubeError as error:
            # Refused: the namespace is going away, or a rule is missing.
            log.warning("event refused", extra={"event": event.message, "reason": str(error)})

    def _keep(self, event: _Event, pending: _Pending) -> None:
        """Put back what could not be sent, behind the others: one that the server chokes on holds up none of them."""
        if datetime.datetime.now(datetime.UTC) - pending.last > WORTH:
            log.warning("event given up", extra={"event": event.message})
            return
        again = self._waiting.setdefault(event, pending)
        if again is not pending:  # it happened once more meanwhile
            again.count += pending.count
            again.first = pending.first

    async def _raise_count(self, event: _Event, pending: _Pending) -> bool:
        sent = self._sent.get(event)
        if sent is None:
            return False
        count = sent.count + pending.count
        body = {"count": count, "lastTimestamp": _timestamp(pending.last)}
        try:
            await self._kube.patch(core_path("events", sent.namespace, sent.name), body)
        except NotFoundError:  # events live an hour
            del self._sent[event]
            return False
        sent.count = count
        self._sent.move_to_end(event)
        return True

    async def _create(self, event: _Event, pending: _Pending) -> None:
        about = event.about
        namespace = about.namespace or "default"
        name = f"{about.name[:200]}.{secrets.token_hex(8)}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "count": pending.count,
            "firstTimestamp": _timestamp(pending.first),
            "lastTimestamp": _timestamp(pending.last),
        }
        await self._kube.create(core_path("events", namespace), body)
        self._sent[event] = _Sent(namespace, name, pending.count)
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)


def _timestamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
