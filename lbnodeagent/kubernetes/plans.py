"""Where the allocator would have each VIP, as its Services' annotations say (purelb/placement.py). Pure.

Each annotation is read once, however many VIPs it speaks of. Anybody may write it who may write the Service: what a
plan can do is to choose among the nodes that can have the VIP anyway.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from purelb import names
from purelb.addresses import IPAddress
from purelb.placement import parse_placement
from purelb.services import ServiceKey, ServiceView


class Plans:
    """Of the Services that have something to announce."""

    def __init__(self) -> None:
        self._plans: dict[ServiceKey, dict[IPAddress, tuple[str, ...]]] = {}

    def set_service(self, service: ServiceView) -> None:
        """A Service as it is now, with the addresses that count of it."""
        text = service.annotations.get(names.PLACEMENT)
        plan = parse_placement(text) if text else {}
        own = {vip: tuple(map(sys.intern, plan[vip])) for vip in service.ingress if vip in plan}
        if own:
            self._plans[service.key] = own
        else:
            self.drop_service(service.key)

    def drop_service(self, key: ServiceKey) -> None:
        """A Service is gone, or has nothing to announce."""
        self._plans.pop(key, None)

    def of(self, vip: IPAddress, users: Iterable[ServiceKey]) -> tuple[str, ...]:
        """The nodes in their order; none: there is no plan.

        ``users``, sorted, are those that share it: should they contradict each other, the first one that has a plan
        for it speaks for all, so that all agents read the same.
        """
        plans = (self._plans[key][vip] for key in users if vip in self._plans.get(key, ()))
        return next(plans, ())
