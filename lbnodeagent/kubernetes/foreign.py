"""What is said of addresses in our Services' statuses that PureLB didn't give them: once, by one of the agents. Pure.

Nothing is said before everything was read: an address may be of a group that isn't known yet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.addresses import IPAddress, excerpt, listed
from purelb.election import owner
from purelb.services import ServiceKey, ServiceView

_NAMED: Final = 4
"""Addresses that a sentence names."""


class ForeignAddresses:
    """``look`` at a Service that changed; ``synced`` and ``members_are`` when that is so. Then ``take``."""

    def __init__(self, node: str, wanted: WantedTable) -> None:
        self.count = 0
        """Addresses that were found so far."""
        self._node = node
        self._wanted = wanted
        self._seen: dict[ServiceKey, frozenset[IPAddress]] = {}
        self._untold: set[ServiceKey] = set()
        self._speakers: dict[ServiceKey, str] = {}
        """Whose it was to tell, of what isn't untold."""
        self._members: Collection[str] = ()
        self._is_synced = False

    def synced(self) -> None:
        """Everything was read."""
        self._is_synced = True
        for key in self._wanted.mixed:
            self.look(key)

    def members_are(self, nodes: frozenset[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        self._members = nodes
        if nodes:  # what it was to tell it may not have told
            self._untold |= {key for key, speaker in self._speakers.items() if speaker not in nodes}

    def look(self, key: ServiceKey) -> None:
        """A Service is new, changed or gone."""
        if not self._is_synced:
            return
        now = self._wanted.foreign(key)
        fresh = now - self._seen.get(key, frozenset())
        if now:
            self._seen[key] = now
        else:
            self._forget(key)
        if fresh:
            self.count += len(fresh)
            self._untold.add(key)

    def take(self) -> list[tuple[ServiceView, str]]:
        """Which Services are to be told what, once; nothing while it isn't known who the agents are."""
        if not self._members:
            return []
        untold, self._untold = self._untold, set()
        told = []
        for key in sorted(untold):
            service, foreign = self._wanted.service(key), self._wanted.foreign(key)
            speaker = owner(self._members, str(key))
            if service is None or speaker is None or not foreign:
                self._forget(key)
                continue
            self._speakers[key] = speaker
            if speaker == self._node:
                told.append((service, sentence(service, foreign)))
        return told

    def _forget(self, key: ServiceKey) -> None:
        self._seen.pop(key, None)
        self._untold.discard(key)
        self._speakers.pop(key, None)


def sentence(service: ServiceView, foreign: Collection[IPAddress]) -> str:
    """What is so of these addresses."""
    which = listed([str(vip) for vip in sorted(foreign, key=lambda vip: (vip.version, int(vip)))], _NAMED)
    return (
        f"{excerpt(service.ingress_writer)} wrote {which} into the status of this Service: PureLB didn't give it "
        "that, leaves it alone and doesn't announce it; have one controller serve the Service (spec.loadBalancerClass)"
    )
