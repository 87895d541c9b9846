"""One watch of all Services, taken up again where it broke off, or begun anew from a complete list.

kopf watches the few ServiceGroups; of Services there are thousands. Its worker per object takes more processor time
for an event than all the rest of an allocation, and it has no word for an object that vanished between two lists.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

from allocator.reconcile.controller import Controller
from purelb.errors import GoneError, KubeError
from purelb.kube import Kube, services_path
from purelb.retry import Backoff, persist

log = logging.getLogger(__name__)

AFTER_FAILURE: Final = Backoff(first=0.1, most=5.0)
"""Between two attempts while the API server is away."""
SHORT: Final = 1.0
"""Seconds; a watch that the server ended sooner counts as a failure."""


async def watch_services(kube: Kube, controller: Controller) -> None:
    """Tell ``controller`` of every change of a Service, until cancelled; begins once it knows what there is."""
    version = await controller.stock.first()
    delays: Iterator[float] = AFTER_FAILURE.delays()
    while True:
        begun = asyncio.get_running_loop().time()
        try:
            async for event in kube.watch(services_path(), version):
                delays = AFTER_FAILURE.delays()
                version = event["object"]["metadata"]["resourceVersion"]
                match event["type"]:
                    case "ADDED" | "MODIFIED":
                        controller.service_seen(event["object"])
                    case "DELETED":
                        controller.service_gone(event["object"])
        except GoneError:
            log.info("watch begun anew", extra={"since": version})
            version = await persist("a complete list", controller.stock.take)
        except KubeError as error:
            delay = error.retry_after or next(delays)
            log.warning("watch broken off", extra={"reason": str(error), "again in": delay})
            await asyncio.sleep(delay)
        else:
            # The server ends a watch now and then; one that ends each at once must not be run against.
            if asyncio.get_running_loop().time() - begun < SHORT:
                await asyncio.sleep(next(delays))
