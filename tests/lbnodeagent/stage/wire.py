"""The wires between the NICs: who hears whose announcements and questions, and what the neighbours believe."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lbnodeagent.tables import IfIndex, Mac
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe
from purelb.addresses import IPAddress
from tests.lbnodeagent.stage.kernel import FakeKernel
from tests.lbnodeagent.stage.topology import Nic, Segment, segment_of

DELAY: tuple[float, float] = (0.0001, 0.002)
"""Seconds until a frame is looked at."""


class Host(Protocol):
    """A node as the wire sees it."""

    @property
    def kernel(self) -> FakeKernel: ...
    @property
    def is_powered(self) -> bool: ...
    def claimed(self, index: IfIndex, vip: IPAddress, mac: Mac) -> None: ...


@dataclass(slots=True)
class Wire:
    """``connects``: whether frames get from one node to another; ``after``: have something happen so much later."""

    hosts: Mapping[str, Host]
    connects: Callable[[str, str], bool]
    after: Callable[[float, Callable[[], None]], None]
    chance: random.Random
    strangers: dict[IPAddress, Mac] = field(default_factory=dict)
    """Hosts of somebody else that have an address of ours."""
    believed: dict[IPAddress, tuple[str, Mac]] = field(default_factory=dict)
    """Who announced each address last: there the neighbours send what is for it."""

    def announce(self, sender: str, announce: Announce) -> None:
        self.believed[announce.vip] = (sender, announce.mac)
        for name, nic in self._neighbours(sender, announce.interface):
            self._deliver(name, nic, announce.vip, announce.mac)

    def probe(self, sender: str, probe: Probe) -> None:
        asking = next(nic for nic in self.hosts[sender].kernel.nics if nic.name == probe.interface)
        for name, nic in self._neighbours(sender, probe.interface):
            if self.hosts[name].kernel.answers_on(probe.vip) == nic:
                self._deliver(sender, asking, probe.vip, nic.mac)
        stranger = self._stranger(probe.vip, asking.segment)
        if stranger is not None and self.hosts[sender].kernel.is_live(asking.index):
            self._deliver(sender, asking, probe.vip, stranger)

    def claim(self, vip: IPAddress, mac: Mac) -> None:
        """A stranger has an address, and announces it."""
        self.strangers[vip] = mac
        self.say(vip, mac)

    def say(self, vip: IPAddress, mac: Mac) -> None:
        """Somebody else claims an address, whether or not he answers for it."""
        for name, host in self.hosts.items():
            for nic in host.kernel.nics:
                if nic.segment == segment_of(vip):
                    self._deliver(name, nic, vip, mac)

    def is_elsewhere(self, node: str, index: IfIndex, vip: IPAddress) -> bool:
        """Whether somebody else on the wire of a NIC has an address."""
        mine = next(nic for nic in self.hosts[node].kernel.nics if nic.index == index)
        if self._stranger(vip, mine.segment) is not None:
            return True
        return any(self.hosts[name].kernel.answers_on(vip) == nic for name, nic in self._neighbours(node, mine.name))

    def has_stranger(self, node: str, vip: IPAddress) -> bool:
        """Whether a host of somebody else has an address, on the wire where a node has it."""
        nic = self.hosts[node].kernel.answers_on(vip)
        return nic is not None and self._stranger(vip, nic.segment) is not None

    def hears(self, one: str, other: str) -> bool:
        """Whether two nodes that are powered reach each other."""
        return self.hosts[one].is_powered and self.hosts[other].is_powered and self.connects(one, other)

    def _stranger(self, vip: IPAddress, segment: Segment) -> Mac | None:
        return self.strangers.get(vip) if segment_of(vip) == segment else None

    def _neighbours(self, node: str, interface: str) -> Iterator[tuple[str, Nic]]:
        mine = next(nic for nic in self.hosts[node].kernel.nics if nic.name == interface)
        if not self.hosts[node].kernel.is_live(mine.index):
            return
        for name, host in self.hosts.items():
            if name == node or not self.hears(node, name):
                continue
            for nic in host.kernel.nics:
                if nic.segment == mine.segment and host.kernel.is_live(nic.index):
                    yield name, nic

    def _deliver(self, to: str, nic: Nic, vip: IPAddress, mac: Mac) -> None:
        self.after(self.chance.uniform(*DELAY), lambda: self.hosts[to].claimed(nic.index, vip, mac))
