"""Asks whoever keeps the addresses of a group on behalf of one Service, and has the Service looked at again.

It stands between the controller, which waits for nobody, and the external, who does. What a source answers goes to the
engine as a grant; what it refuses is said to the Service's owner and tried again later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Consultation, Reason, Refusal
from allocator.reconcile.cache import Entry, ServiceCache
from allocator.reconcile.notices import Notices
from allocator.reconcile.review import Plan
from allocator.reconcile.translate import failed
from allocator.sources.external import ExternalSources
from allocator.sources.source import SourceError
from purelb.services import ServiceKey

log = logging.getLogger(__name__)


class LookLater(Protocol):
    """Have a Service looked at again, later and later; not before ``at_least`` seconds."""

    def __call__(self, service: ServiceKey, at_least: float) -> None: ...


class Consultant:
    """``consult`` never raises what a source may do."""

    def __init__(
        self,
        external: ExternalSources,
        engine: Engine,
        cache: ServiceCache,
        notices: Notices,
        look_now: Callable[[ServiceKey], None],
        look_later: LookLater,
    ) -> None:
        self._external = external
        self._engine = engine
        self._cache = cache
        self._notices = notices
        self._look_now = look_now
        self._look_later = look_later

    async def consult(self, entry: Entry, ask: Consultation) -> None:
        """Ask, and tell the engine or the owner what came of it."""
        service = entry.service
        try:
            addresses = await self._external.ask(ask)
        except SourceError as error:
            known = self._cache.get(service.key)
            if known is not None:
                reason = Reason.EXHAUSTED if error.kind == "exhausted" else Reason.OTHER
                refusal = Refusal(reason, str(error), ask.group)
                self._notices.standing(service, Plan(standing=(failed(service, refusal),), refusal=refusal))
            if known == entry:
                self._look_later(service.key, error.retry_after or 0.0)
            else:
                self._look_now(service.key)  # it has changed: what it wants now may be had elsewhere
        except Exception:
            # Our mistake, and on one Service: the others are served on.
            log.exception("asking failed", extra={"service": str(service.key), "group": ask.group})
            self._look_later(service.key, 0.0)
        else:
            if self._cache.get(service.key) is not None:
                self._engine.grant(service.key, ask.group, addresses)
                self._look_now(service.key)
        finally:
            if self._cache.get(service.key) is None:
                self._external.settle(service.key)

    def ask_again(self, group: str) -> None:
        """A source that gave nothing may give something now."""
        for service in self._engine.asking(group):
            self._look_now(service)

    def dispute(self, service: ServiceKey, sentence: str) -> None:
        """A source doesn't count an address as the Service's that has it."""
        entry = self._cache.get(service)
        if entry is not None:
            self._notices.disputed(entry.service, sentence)
