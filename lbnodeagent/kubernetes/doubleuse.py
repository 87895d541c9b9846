"""What is said of VIPs by which this node reaches its resolver or the API server: once, by one of the agents. Pure.

Such a VIP may be right: a resolver or an API server behind a Service of ours. So nothing is refused for it. It may also
be a host's address within a pool, which only the operator can tell; so it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lbnodeagent.kubernetes.oncetold import OnceTold
from lbnodeagent.kubernetes.viptable import WantedTable, vips_of
from purelb.addresses import IPAddress
from purelb.services import ServiceKey, ServiceView

ADVICE: Final = "right if it is meant to be reached by this Service; else take the address out of the pool"


class DoubleUse:
    """``look`` at a Service that changed; ``landmarks_are`` and ``members_are`` when that is news. Then ``take``."""

    def __init__(self, node: str, wanted: WantedTable) -> None:
        self._node = node
        self._wanted = wanted
        self._landmarks: Mapping[IPAddress, str] = {}
        self._told = OnceTold(node)

    def landmarks_are(self, landmarks: Mapping[IPAddress, str]) -> None:
        """What this node reaches by which addresses: "a resolver"."""
        self._landmarks = landmarks
        for key in {*self._told.seen, *(one.key for vip in landmarks for one in self._wanted.users(vip))}:
            self.look(key)

    def members_are(self, nodes: frozenset[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        self._told.members_are(nodes)

    def look(self, key: ServiceKey) -> None:
        """A Service is new, changed or gone."""
        service = self._wanted.service(key)
        self._told.finds(key, frozenset(self._doubles(service)) if service is not None else frozenset())

    def take(self) -> list[tuple[ServiceView, str]]:
        """Which Services are to be told what, once; nothing while it isn't known who the agents are."""
        services = (self._wanted.service(key) for key in self._told.take())
        return [
            (service, self._sentence(vip))
            for service in services
            if service is not None
            for vip in self._doubles(service)
        ]

    def _doubles(self, service: ServiceView) -> list[IPAddress]:
        return [vip for vip in vips_of(service) if vip in self._landmarks]

    def _sentence(self, vip: IPAddress) -> str:
        return f"For node {self._node}, {vip} is also {self._landmarks[vip]}: {ADVICE}"
