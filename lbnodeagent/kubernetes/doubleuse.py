"""What is said of VIPs by which this node reaches its resolver or the API server: once, by one of the agents. Pure.

Such a VIP may be right: a resolver or an API server behind a Service of ours. So nothing is refused for it. It may also
be a host's address within a pool, which only the operator can tell; so it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from lbnodeagent.kubernetes.viptable import WantedTable, vips_of
from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.services import ServiceKey, ServiceView

ADVICE: Final = "right if it is meant to be reached by this Service; else take the address out of the pool"


class DoubleUse:
    """``look`` at a Service that changed; ``landmarks_are`` and ``members_are`` when that is news. Then ``take``."""

    def __init__(self, node: str, wanted: WantedTable) -> None:
        self._node = node
        self._wanted = wanted
        self._landmarks: Mapping[IPAddress, str] = {}
        self._seen: dict[ServiceKey, frozenset[IPAddress]] = {}
        self._untold: set[ServiceKey] = set()
        self._speakers: dict[ServiceKey, str] = {}
        """Whose it was to tell, of what isn't untold."""
        self._members: Collection[str] = ()

    def landmarks_are(self, landmarks: Mapping[IPAddress, str]) -> None:
        """What this node reaches by which addresses: "a resolver"."""
        self._landmarks = landmarks
        for key in {*self._seen, *(one.key for vip in landmarks for one in self._wanted.users(vip))}:
            self.look(key)

    def members_are(self, nodes: frozenset[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        self._members = nodes
        if nodes:  # what it was to tell it may not have told
            self._untold |= {key for key, speaker in self._speakers.items() if speaker not in nodes}

    def look(self, key: ServiceKey) -> None:
        """A Service is new, changed or gone."""
        service = self._wanted.service(key)
        now = frozenset(vip for vip in vips_of(service) if vip in self._landmarks) if service else frozenset()
        fresh = now - self._seen.get(key, frozenset())
        if now:
            self._seen[key] = now
        else:
            self._seen.pop(key, None)
            self._untold.discard(key)
            self._speakers.pop(key, None)
        if fresh:
            self._untold.add(key)

    def take(self) -> list[tuple[ServiceView, str]]:
        """Which Services are to be told what, once; nothing while it isn't known who the agents are."""
        if not self._members:
            return []
        untold, self._untold = self._untold, set()
        told = []
        for key in sorted(untold):
            service, speaker = self._wanted.service(key), owner(self._members, str(key))
            if service is None or speaker is None:
                continue
            self._speakers[key] = speaker
            if speaker == self._node:
                told += [(service, self._sentence(vip)) for vip in vips_of(service) if vip in self._landmarks]
        return told

    def _sentence(self, vip: IPAddress) -> str:
        return f"For node {self._node}, {vip} is also {self._landmarks[vip]}: {ADVICE}"
