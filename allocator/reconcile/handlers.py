"""kopf handlers: they hand the news to the controller and return. Kind ``on.event`` only, which leaves no trace.

Services have a watch of their own: watch.py.
"""

from __future__ import annotations

from typing import Any

from allocator.reconcile.controller import Controller
from purelb import names
from purelb.light_kopf import kopf


def register(registry: kopf.OperatorRegistry, controller: Controller) -> None:
    """Feed ``controller`` from the watches of ``registry``."""

    @kopf.on.event(names.GROUP, names.READ_VERSION, names.SERVICE_GROUPS, registry=registry)
    async def service_group(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] is None:
            controller.stock.list_groups_soon()
        if event["type"] == "DELETED":
            controller.group_gone(event["object"])
        else:
            controller.group_seen(event["object"])
