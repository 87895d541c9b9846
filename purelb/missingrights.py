"""Tells users what the API server forbids us: in the log, in an event on our own pod, and in the metrics.

What is forbidden, and for how long it must have been, is rights.py's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from purelb import names
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import ClientMetrics
from purelb.rights import Rights
from purelb.settings import CommonSettings

log = logging.getLogger(__name__)

LOOK: Final = 5.0
"""Seconds between two looks at whether there is something to tell."""


def own_pod(settings: CommonSettings) -> ObjectReference | None:
    """What the event is about; None outside a pod."""
    return None if settings.pod is None else ObjectReference("v1", "Pod", settings.namespace, *settings.pod)


async def tell(
    rights: Rights,
    pod: ObjectReference | None,
    events: EventRecorder,
    metrics: ClientMetrics,
    clock: Callable[[], float],
) -> None:
    """Say what is refused, until cancelled: in the log and on our own pod once, in the metrics for as long as it is."""
    told: tuple[str, ...] = ()
    while True:
        now = clock()
        missing, trouble = rights.missing(now), rights.trouble(now)
        if missing != told:
            told = missing
            metrics.forbidden.clear()
            for request in missing:
                metrics.forbidden.labels(request).set(1)
            if trouble is None:
                log.info("nothing is forbidden any more")
            else:
                log.warning("forbidden", extra={"reason": trouble})
                if pod is not None:
                    events.record(pod, "Warning", names.REASON_FORBIDDEN, trouble)
        await asyncio.sleep(LOOK)
