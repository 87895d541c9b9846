"""Asks whoever keeps the addresses of a group for one Service; what came of it comes out as a value.

The controller waits for nobody, sources take their time: this stands between them. What follows is the reconciler's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeAlias

from allocator.ipam.requests import Consultation, Reason, Refusal
from allocator.sources.external import ExternalSources
from allocator.sources.source import SourceError
from purelb.addresses import IPAddress
from purelb.metrics import AllocatorMetrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Granted:
    """Everything that the Service has of the group now."""

    group: str
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """It got nothing: ask again later."""

    refusal: Refusal | None
    """For its owner; None if the mistake was ours, which is in the log."""
    retry_after: float
    """Seconds, at least."""


Reply: TypeAlias = Granted | Denied


async def ask(external: ExternalSources, consultation: Consultation, metrics: AllocatorMetrics) -> Reply:
    """Never raises what a source may do."""
    try:
        return Granted(consultation.group, await external.ask(consultation))
    except SourceError as error:
        reason = Reason.EXHAUSTED if error.kind == "exhausted" else Reason.OTHER
        return Denied(Refusal(reason, str(error), consultation.group), error.retry_after or 0.0)
    except Exception:
        # Our mistake, and on one Service: the others are served on.
        service = str(consultation.request.service)
        log.exception("asking failed", extra={"service": service, "group": consultation.group})
        metrics.mistakes.labels("asking").inc()
        return Denied(None, 0.0)
