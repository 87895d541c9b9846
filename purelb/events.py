"""Record Kubernetes Events: one sentence on the object, where ``kubectl describe`` shows it.

A repeated event raises the count of the first one, as client-go's recorder does (``x7 over 3m12s``); the same happens
while an event waits to be sent, and to those that differ in their words only, when there are many (correlator.py).
Several are sent at once, those on one object in their order. Recording never blocks and never fails: events inform,
nothing depends on them.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from purelb.correlator import PREFIX, WINDOW, Similar
from purelb.errors import InvalidError, KubeError, NotFoundError, UnavailableError
from purelb.kube import Kube, core_path
from purelb.services import ServiceView

EventType: TypeAlias = Literal["Normal", "Warning"]

log = logging.getLogger(__name__)

WAITING: Final = 10_000
"""Events that may wait to be sent; beyond that the oldest are dropped, counted and logged."""
REMEMBERED: Final = 4_096
"""Sent events whose count can still be raised (client-go's cache size)."""
RETRY: Final = 1.0
"""Seconds between two attempts while the API server is away."""
SENDERS: Final = 8
"""Events under way at once: a thousand take a second or two, and the API server has other clients."""
OFTEN: Final = 10
"""Times that an event is counted at once; from then on its count is written every ``PACE`` seconds."""
PACE: Final = 10.0
WORTH: Final = datetime.timedelta(hours=1)
"""For how long after it happened an event is worth sending: the API server forgets events after as long."""
NOT_YET: Final = datetime.timedelta(minutes=1)
"""Likewise for one that is refused: a server that has just started forbids everything until it knows its rules."""


class ObjectReference(NamedTuple):
    """What an event is about (core/v1 ObjectReference)."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


def reference_of(service: ServiceView) -> ObjectReference:
    """The reference to a Service."""
    return ObjectReference("v1", "Service", service.key.namespace, service.key.name, service.uid)


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
    """Empty for the one into which many similar ones are folded."""


@dataclass(slots=True)
class _Pending:
    count: int
    first: datetime.datetime
    last: datetime.datetime
    message: str
    """The newest one."""

    def add(self, later: _Pending) -> None:
        """``later`` is the same event, once more."""
        self.count += later.count
        self.last, self.message = later.last, later.message


@dataclass(frozen=True, slots=True)
class _Sent:
    namespace: str
    name: str
    count: int
    at: float
    """Monotonic seconds."""


class _Queue:
    """Events of some objects, in their order."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[_Event, _Pending] = OrderedDict()
        self.wake = asyncio.Event()

    def put(self, event: _Event, pending: _Pending) -> None:
        known = self.waiting.get(event)
        if known is not None:
            known.add(pending)
        else:
            self.waiting[event] = pending
        self.wake.set()

    def put_back(self, event: _Event, pending: _Pending) -> None:
        """Behind the others: one that the server chokes on holds up none of them."""
        again = self.waiting.pop(event, None)
        if again is not None:
            pending.add(again)
        self.waiting[event] = pending


class Unsent:
    """Events that wait to be sent. It outlives the recorder and its connection, and stays in its event loop."""

    def __init__(self) -> None:
        self.queues = tuple(_Queue() for _ in range(SENDERS))


class EventRecorder:
    """Collects events and sends them; ``run`` does the sending.

    ``component`` is the source that users see (``purelb-allocator``); ``unsent``: what an earlier one couldn't send.
    Use it from one event loop only.
    """

    def __init__(self, kube: Kube, component: str, unsent: Unsent | None = None) -> None:
        self._kube = kube
        self._component = component
        self._queues = (unsent or Unsent()).queues
        for queue in self._queues:
            if queue.waiting:
                queue.wake.set()
        self._paced: dict[_Event, _Pending] = {}
        """What happened again before its count may be written again."""
        self._sent: OrderedDict[_Event, _Sent] = OrderedDict()
        self._similar = Similar()
        self._dropped = 0

    def record(self, about: ObjectReference, event_type: EventType, reason: str, message: str) -> None:
        """Note that something happened to ``about``. Never blocks, never raises."""
        moment = datetime.datetime.now(datetime.UTC)
        if self._similar.is_too_many((about, event_type, reason), message, time.monotonic()):
            event, message = _Event(about, event_type, reason, ""), PREFIX + message
        else:
            event = _Event(about, event_type, reason, message)
        pending = _Pending(1, moment, moment, message)
        paced = self._paced.get(event)
        if paced is not None:
            paced.add(pending)
            return
        fullest = max((queue.waiting for queue in self._queues), key=len)
        if sum(len(queue.waiting) for queue in self._queues) >= WAITING:
            fullest.popitem(last=False)
            self._dropped += 1
        self._queue_of(event).put(event, pending)

    def _queue_of(self, event: _Event) -> _Queue:
        return self._queues[hash(event.about) % SENDERS]

    async def run(self) -> None:
        """Send what is recorded, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for queue in self._queues:
                tasks.create_task(self._serve(queue))

    async def _serve(self, queue: _Queue) -> None:
        while True:
            await queue.wake.wait()
            await self._drain(queue)

    async def flush(self, timeout: float) -> None:
        """Send what waits, before a stop; gives up after ``timeout`` seconds."""
        self._resume(list(self._paced))
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(self._drain(queue, is_last=True) for queue in self._queues))
        except TimeoutError:
            waiting = sum(len(queue.waiting) for queue in self._queues)
            log.warning("events were not sent before the stop", extra={"events": waiting})

    async def _drain(self, queue: _Queue, *, is_last: bool = False) -> None:
        while queue.waiting:
            event, pending = queue.waiting.popitem(last=False)
            if not is_last and self._is_too_soon(event):
                self._postpone(event, pending)
                continue
            try:
                await self._send(event, pending)
            except KubeError as error:
                patience = WORTH if isinstance(error, UnavailableError) else NOT_YET
                if datetime.datetime.now(datetime.UTC) - pending.last > patience:
                    log.warning("event given up", extra={"event": pending.message, "reason": str(error)})
                else:
                    queue.put_back(event, pending)
                await asyncio.sleep(error.retry_after or RETRY)
            except asyncio.CancelledError:
                queue.put_back(event, pending)  # whoever sends the rest tries it too: twice is better than never
                raise
            if self._dropped:
                log.warning("events were dropped, too many at once", extra={"events": self._dropped})
                self._dropped = 0
        queue.wake.clear()

    def _is_too_soon(self, event: _Event) -> bool:
        sent = self._sent.get(event)
        return sent is not None and sent.count >= OFTEN and time.monotonic() - sent.at < PACE

    def _postpone(self, event: _Event, pending: _Pending) -> None:
        self._paced[event] = pending
        asyncio.get_running_loop().call_later(PACE, self._resume, (event,))

    def _resume(self, events: Iterable[_Event]) -> None:
        for event in events:
            pending = self._paced.pop(event, None)
            if pending is not None:
                self._queue_of(event).put(event, pending)

    async def _send(self, event: _Event, pending: _Pending) -> None:
        try:
            if not await self._raise_count(event, pending):
                await self._create(event, pending)
        except KubeError as error:
            if not (isinstance(error, InvalidError | NotFoundError) or "being terminated" in str(error)):
                raise
            # Refused for good: what it says, or its namespace, which is gone or going away.
            log.warning("event refused", extra={"event": pending.message, "reason": str(error)})

    async def _raise_count(self, event: _Event, pending: _Pending) -> bool:
        sent = self._sent.get(event)
        if sent is None:
            return False
        count = sent.count + pending.count
        body = {"count": count, "lastTimestamp": _timestamp(pending.last), "message": pending.message[:1024]}
        try:
            await self._kube.patch(core_path("events", sent.namespace, sent.name), body)
        except NotFoundError:  # events live an hour
            self._sent.pop(event, None)
            return False
        # Another sender may have forgotten it meanwhile.
        self._sent[event] = _Sent(sent.namespace, sent.name, count, time.monotonic())
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
            "message": pending.message[:1024],
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "count": pending.count,
            "firstTimestamp": _timestamp(pending.first),
            "lastTimestamp": _timestamp(pending.last),
        }
        await self._kube.create(core_path("events", namespace), body)
        self._sent[event] = _Sent(namespace, name, pending.count, time.monotonic())
        # Nothing tells us that an object is gone; whatever is said once more after that time is a new event.
        while len(self._sent) > REMEMBERED or time.monotonic() - next(iter(self._sent.values())).at > WINDOW:
            self._sent.popitem(last=False)


def _timestamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
