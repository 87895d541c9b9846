"""Keeps ``purelb.io/announcing-*`` on the Services as this node knows them to be; traffic policies: policyreset.py.

Level-triggered: what is written follows from how each VIP stands here and what the Service says now. Writes are
conditional on the resourceVersion that they were decided on, coalesced by Service, and wait for the API as long as it
takes; the data plane never waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lbnodeagent.kubernetes.annotation import Form, View, revise, taken_over
from lbnodeagent.kubernetes.answers import Answers
from lbnodeagent.kubernetes.contests import OVER, Contests
from lbnodeagent.kubernetes.policyreset import PolicyReset
from lbnodeagent.kubernetes.viptable import WantedTable, annotation_of, vips_of
from lbnodeagent.tables import Announcement
from purelb import names
from purelb.addresses import IPAddress
from purelb.announcing import parse
from purelb.election import owner
from purelb.errors import ConflictError, InvalidError, KubeError, NotFoundError
from purelb.events import EventRecorder, reference_of
from purelb.kube import Kube, services_path
from purelb.metrics import AgentMetrics
from purelb.services import ServiceKey, ServiceView, annotations_patch, view_service

log = logging.getLogger(__name__)

WRITERS: Final = 4
"""Writes under way at once."""
RETRY: Final = 1.0
"""Seconds until a write is tried again while the API server is away."""
CALM: Final = 2.0
"""Seconds between two writes of the same annotations to the same Service, doubled with each one that was undone."""
CALMEST: Final = 600.0
"""Seconds to which that grows."""
MOURNING: Final = 5.0
"""Seconds after which the name of a node that is gone is taken away, if no other node has taken its place."""
FORMER: Final = 4096
"""Nodes that are remembered to have been members; then the first ones to come are forgotten."""
BURIED: Final = 16
"""Names that are remembered to have been taken away from a Service: who may write them there may invent them."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What was written to a Service last, and how often it had been undone before."""

    changes: Mapping[str, str | None]
    at: float
    times: int

    @property
    def stands_until(self) -> float:
        """When the same may be written again."""
        return self.at + min(CALMEST, CALM * 2.0 ** min(self.times, 16))


class Annotator:
    """Compares what Services say with what is. ``run`` it; used from the control plane's loop only."""

    def __init__(
        self,
        node: str,
        form: Form,
        kube: Kube,
        events: EventRecorder,
        wanted: WantedTable,
        standing: Mapping[IPAddress, Announcement],
        metrics: AgentMetrics,
        answers: Answers,
        policies: PolicyReset,
    ) -> None:
        self._node = node
        self._form = form
        self._kube = kube
        self._events = events
        self._wanted = wanted
        self._standing = standing
        """How each VIP stands here, as the data plane reported it last."""
        self._metrics = metrics
        self._answers = answers
        self._policies = policies
        self._contests = Contests(node)
        self._members: frozenset[str] = frozenset()
        self._former: OrderedDict[str, None] = OrderedDict()
        """Nodes that are or were members, the one that came last at the end."""
        self._mourning: asyncio.TimerHandle | None = None
        self._mourns_until = 0.0
        self._buried: dict[ServiceKey, tuple[str, ...]] = {}
        """Whose name was taken away from which Service: who writes it again isn't dead, just not heard."""
        self._pending: OrderedDict[ServiceKey, None] = OrderedDict()
        self._written: dict[ServiceKey, _Written] = {}
        self._later: dict[ServiceKey, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._at_work = 0

    # --- what happens ------------------------------------------------------------------------------------------------

    def look_at(self, key: ServiceKey) -> None:
        """Something changed that may matter to a Service."""
        self._pending[key] = None
        self._wake.set()

    def forget(self, key: ServiceKey) -> None:
        """A Service is gone."""
        self._pending.pop(key, None)
        self._written.pop(key, None)
        self._contests.forget(key)
        self._policies.forget(key)
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        self._buried.pop(key, None)

    def members_are(self, members: frozenset[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        may_have_gone = not self._members or not self._members <= members
        for key in self._contests.heard_again(members - self._members):
            self._written.pop(key, None)  # it was undone by somebody who knew no better
            self.look_at(key)
        self._members = members
        for node in members - self._former.keys():
            self._former[node] = None
        while len(self._former) > max(FORMER, len(members)):
            self._former.popitem(last=False)
        for key, buried in list(self._buried.items()):
            self._buried[key] = tuple(node for node in buried if node not in members)
            if not self._buried[key]:
                del self._buried[key]
        for key in self._contests.contested():
            self.look_at(key)
        if members and may_have_gone:
            self._mourn()

    def _mourn(self) -> None:
        """Look for the dead when they have been gone for long enough, once for all of whom it is news by then."""
        loop = asyncio.get_running_loop()
        self._mourns_until = loop.time() + MOURNING
        if self._mourning is None:
            self._mourning = loop.call_at(self._mourns_until, self._look_for_the_dead)

    def _look_for_the_dead(self) -> None:
        loop = asyncio.get_running_loop()
        self._mourning = None
        if self._mourns_until > loop.time():  # somebody went since
            self._mourning = loop.call_at(self._mourns_until, self._look_for_the_dead)
        for service in self._wanted.services.values():
            vips = vips_of(service)
            values = (service.annotations.get(key) for key in names.ANNOUNCING_KEYS)
            if any(self._is_dead(entry.node) for value in values for entry in parse(value, vips)):
                self.look_at(service.key)

    def _is_dead(self, node: str) -> bool:
        return bool(self._members) and node not in self._members

    # --- writing -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write what is pending, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write_pending())

    async def flush(self, timeout: float) -> None:
        """Wait until everything is written, before a stop, but not longer than ``timeout`` seconds."""
        for key, timer in self._later.items():  # there is no later
            timer.cancel()
            self._written.pop(key, None)
            self.look_at(key)
        self._later.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._pending or self._at_work:
                    await asyncio.sleep(0.02)

    async def _write_pending(self) -> None:
        while True:
            while not self._pending:
                self._wake.clear()
                await self._wake.wait()
            key, _ = self._pending.popitem(last=False)
            self._at_work += 1
            try:
                await self._write(key)
            except ConflictError:
                await self._read_again(key)
            except NotFoundError:
                continue
            except InvalidError as error:
                self._metrics.update_errors.inc()
                log.error("the Service can't be annotated", extra={"service": str(key), "error": str(error)})
            except KubeError as error:
                # Also what says "you may not": rights and tokens come and go while an API server starts.
                self._metrics.update_errors.inc()
                log.info("the Service is annotated later", extra={"service": str(key), "reason": str(error)})
                await asyncio.sleep(error.retry_after or RETRY)
                self.look_at(key)
            finally:
                self._at_work -= 1

    async def _write(self, key: ServiceKey) -> None:
        service = self._wanted.service(key)
        if service is None:
            return
        now = asyncio.get_running_loop().time()
        changes = self.changes(service, now)
        last = self._written.get(key)
        if changes and last is not None and changes == last.changes and now < last.stands_until:
            self._look_again(key, last.stands_until)  # somebody undid it
        elif changes:
            service = await self._annotate(service, changes, now)
        if (again := await self._policies.look(service, now)) is not None:
            self._look_again(key, again)

    async def _annotate(self, service: ServiceView, changes: dict[str, str | None], now: float) -> ServiceView:
        """Write these changes; returns the Service as it is then."""
        last = self._written.get(service.key)
        is_again = last is not None and changes == last.changes and now - last.at < OVER
        self._written[service.key] = _Written(changes, now, last.times + 1 if last is not None and is_again else 0)
        epoch = self._answers.epoch
        # An agent has no right to more of a Service than its status, to which the annotations belong too.
        path = services_path(service.key.namespace, service.key.name, "status")
        try:
            answer = await self._kube.patch(path, annotations_patch(service, changes))
        except KubeError:
            if last is None:
                self._written.pop(service.key, None)
            else:
                self._written[service.key] = last
            raise
        log.info("annotated", extra={"service": str(service.key), "annotations": changes})
        self._note_written(service, changes, now)
        self._tell_taken(service, changes)
        self._bury(service, changes)
        self._answers.answered(answer, epoch)
        return view_service(answer)

    def _note_written(self, service: ServiceView, changes: Mapping[str, str | None], now: float) -> None:
        for key, value in changes.items():
            for entry in parse(value, _vips_of_family(service, key)):
                if entry.ip is not None and entry.node == self._node:
                    self._contests.wrote(service.key, entry.ip, now)

    def _tell_taken(self, service: ServiceView, changes: Mapping[str, str | None]) -> None:
        """Of addresses that this node has taken, and from which node by what the Service said before."""
        for key, value in changes.items():
            vips = _vips_of_family(service, key)
            for vip, other in taken_over(service.annotations.get(key), value, vips, self._node).items():
                # Whoever may write the annotation may name nodes there that don't exist, as many as he likes.
                self._metrics.slot_steals.labels(other if other in self._former else "unknown", self._node).inc()
                text = f"Node {self._node} took announcement of {vip} from node {other}"
                self._events.record(reference_of(service), "Normal", names.REASON_ANNOUNCE_SLOT_STEAL, text)

    def _bury(self, service: ServiceView, changes: Mapping[str, str | None]) -> None:
        for key, value in changes.items():
            vips = _vips_of_family(service, key)
            before = {entry.node for entry in parse(service.annotations.get(key), vips)}
            after = {entry.node for entry in parse(value, vips)}
            if dead := sorted(node for node in before - after if self._is_dead(node)):
                buried = (*self._buried.get(service.key, ()), *dead)
                self._buried[service.key] = tuple(dict.fromkeys(buried))[-BURIED:]

    async def _read_again(self, key: ServiceKey) -> None:
        epoch = self._answers.epoch
        try:
            answer = await self._kube.get(services_path(key.namespace, key.name))
        except NotFoundError:
            return
        except KubeError as error:
            await asyncio.sleep(error.retry_after or RETRY)
        else:
            self._answers.answered(answer, epoch)
        self.look_at(key)

    # --- what should be ----------------------------------------------------------------------------------------------

    def changes(self, service: ServiceView, now: float) -> dict[str, str | None]:
        """What the Service's announcing annotations should be changed to, by this node."""
        changes: dict[str, str | None] = {}
        for key in names.ANNOUNCING_KEYS:
            current = service.annotations.get(key)
            vips = _vips_of_family(service, key)
            named = {entry.ip: entry.node for entry in parse(current, vips)}
            wanted = revise(current, vips, self._view(service, vips, named, now), self._form)
            if wanted != current:
                changes[key] = wanted
        return changes

    def _view(
        self, service: ServiceView, vips: list[IPAddress], named: Mapping[IPAddress | None, str], now: float
    ) -> View:
        here: dict[IPAddress, str] = {}
        ownerless: set[IPAddress] = set()
        for vip in vips:
            standing = self._standing.get(vip)
            # A successor writes its own name over ours; before the data plane reports, we don't know.
            is_ours = standing is not None and not standing.successor
            if standing is not None and is_ours and standing.state == "announcing" and standing.is_local:
                if not self._gives_way(service.key, vip, named.get(vip), now):
                    here[vip] = standing.interface
                continue
            if self._contests.released(service.key, vip):
                self._written.pop(service.key, None)  # who announces it next undoes nothing
            if is_ours:
                ownerless.add(vip)
        # One of the living tidies up after the dead, the same for all, so that they don't all try.
        is_for_us = owner(self._members, str(service.key)) == self._node

        def is_dead(node: str) -> bool:
            return is_for_us and self._is_dead(node) and node not in self._buried.get(service.key, ())

        return View(self._node, here, ownerless, is_dead)

    def _gives_way(self, key: ServiceKey, vip: IPAddress, name: str | None, now: float) -> bool:
        """Whether what is there is left for now, another node's name or none, although we announce ``vip``."""
        if name == self._node:
            return False
        until = self._contests.stands_until(key, vip, name, now, is_heard=name in self._members)
        if until > now:
            self._look_again(key, until)
        return until > now

    def _look_again(self, key: ServiceKey, at: float) -> None:
        """Look at a Service then; the earliest time counts."""
        timer = self._later.get(key)
        if timer is not None and timer.when() <= at:
            return
        if timer is not None:
            timer.cancel()
        self._later[key] = asyncio.get_running_loop().call_at(at, self._look_now, key)

    def _look_now(self, key: ServiceKey) -> None:
        self._later.pop(key, None)
        self.look_at(key)


def _vips_of_family(service: ServiceView, key: str) -> list[IPAddress]:
    """The addresses of which the annotation ``key`` tells."""
    return [vip for vip in vips_of(service) if annotation_of(vip) == key]
