"""What is said of addresses in our Services' statuses that PureLB didn't give them: once, by one of the agents. Pure.

Nothing is said before everything was read: an address may be of a group that isn't known yet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lbnodeagent.kubernetes.oncetold import OnceTold
from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.addresses import IPAddress, excerpt, listed
from purelb.services import ServiceKey, ServiceView

_NAMED: Final = 4
"""Addresses that a sentence names."""


class ForeignAddresses:
    """``look`` at a Service that changed; ``synced`` and ``members_are`` when that is so. Then ``take``."""

    def __init__(self, node: str, wanted: WantedTable) -> None:
        self.count = 0
        """Addresses that were found so far."""
        self._wanted = wanted
        self._told = OnceTold(node)
        self._is_synced = False

    def synced(self) -> None:
        """Everything was read."""
        self._is_synced = True
        for key in self._wanted.mixed:
            self.look(key)

    def members_are(self, nodes: frozenset[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        self._told.members_are(nodes)

    def look(self, key: ServiceKey) -> None:
        """A Service is new, changed or gone."""
        if self._is_synced:
            self.count += len(self._told.finds(key, self._wanted.foreign(key)))

    def take(self) -> list[tuple[ServiceView, str]]:
        """Which Services are to be told what, once; nothing while it isn't known who the agents are."""
        told = []
        for key in self._told.take():
            service, foreign = self._wanted.service(key), self._wanted.foreign(key)
            if service is not None and foreign:
                told.append((service, sentence(service, foreign)))
            else:
                self._told.forget(key)  # the group that has them is known by now
        return told


def sentence(service: ServiceView, foreign: Collection[IPAddress]) -> str:
    """What is so of these addresses."""
    which = listed([str(vip) for vip in sorted(foreign, key=lambda vip: (vip.version, int(vip)))], _NAMED)
    return (
        f"{excerpt(service.ingress_writer)} wrote {which} into the status of this Service: PureLB didn't give it "
        "that, leaves it alone and doesn't announce it; have one controller serve the Service (spec.loadBalancerClass)"
    )
