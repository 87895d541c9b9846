"""Which VIPs nobody has had yet, so that placing one asks the wire whether it is free. Pure.

Of an IPv6 address the kernel asks, before it is used (RFC 4862 section 5.4): a second or two in which the VIP doesn't
answer. Of an IPv4 address nobody does; so we ask, at the moment of placing it (RFC 5227 section 2.1 in short form: one
question, and who answers it at once has the address). Either is right for the address of a new Service, and wrong for
one that moves: there another node had it a moment ago. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from purelb.addresses import IPAddress

PAUSE: Final = 10.0
"""Seconds after which an address that another host had is tried again (as RFC 5227 section 1.1 has it for IPv4)."""
ANSWERED: Final = 15.0
"""Likewise of an IPv4 address, from the last answer on: it is asked for every ten seconds meanwhile."""
WINDOW: Final = 0.25
"""Seconds after an IPv4 address was placed for the first time in which an answer is one to the question of then, and
for which it isn't announced."""


class DuplicateDetection:
    """A VIP is new from when it's wanted until somebody has it."""

    def __init__(self, *, of_ipv4: bool = True) -> None:
        """``of_ipv4``: whether it is so of IPv4 VIPs too."""
        self._of_ipv4 = of_ipv4
        self._new: set[IPAddress] = set()
        self._asked: dict[IPAddress, float] = {}
        """When the wire was asked for IPv4 addresses that are new."""
        self._duplicates: dict[IPAddress, float] = {}

    def expect(self, vip: IPAddress) -> None:
        """A Service has just got ``vip``."""
        if vip.version == 6 or self._of_ipv4:
            self._new.add(vip)

    def is_new(self, vip: IPAddress, now: float) -> bool:
        """Whether another host that turns out to have ``vip`` had it first."""
        return vip in self._new and now < self._asked.get(vip, now) + WINDOW

    def asks(self, vip: IPAddress, now: float) -> bool:
        """``vip`` was placed. Whether the wire is to be asked at once, as the kernel doesn't."""
        if vip.version == 6 or vip not in self._new or vip in self._asked:
            return False
        self._asked[vip] = now
        return True

    def is_open(self, vip: IPAddress, now: float) -> bool:
        """Whether we asked the wire, and the answer may be to come, or was that another host has ``vip``."""
        return vip in self._asked or self.is_duplicate(vip, now)

    def end(self, vip: IPAddress) -> None:
        """A node of ours has ``vip``, or nobody wants it any more."""
        self._new.discard(vip)
        self._asked.pop(vip, None)
        self._duplicates.pop(vip, None)

    def failed(self, vip: IPAddress, now: float) -> None:
        """Another host has ``vip``."""
        self._asked.pop(vip, None)
        self._duplicates[vip] = now + (PAUSE if vip.version == 6 else ANSWERED)

    def is_duplicate(self, vip: IPAddress, now: float) -> bool:
        """Whether ``vip`` is left to another host for now."""
        return self._duplicates.get(vip, now) > now
