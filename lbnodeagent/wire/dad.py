"""Which IPv6 VIPs nobody has had yet, so that placing one asks the wire first whether it is free. Pure.

Duplicate address detection (RFC 4862 section 5.4) costs a second or two in which the VIP doesn't answer. That is right
for the address of a new Service, and wrong for one that moves: there another node had it a moment ago. ``now`` is
monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from purelb.addresses import IPAddress

PAUSE: Final = 10.0
"""Seconds after which an address that another host had is tried again (as RFC 5227 section 1.1 has it for IPv4)."""


class DuplicateDetection:
    """A VIP is new from when it's wanted until somebody has it."""

    def __init__(self) -> None:
        self._new: set[IPAddress] = set()
        self._duplicates: dict[IPAddress, float] = {}

    def expect(self, vip: IPAddress) -> None:
        """A Service has just got ``vip``."""
        if vip.version == 6:
            self._new.add(vip)

    def is_new(self, vip: IPAddress) -> bool:
        """Whether the kernel should detect duplicates when ``vip`` is placed."""
        return vip in self._new

    def end(self, vip: IPAddress) -> None:
        """A node of ours has ``vip``, or nobody wants it any more."""
        self._new.discard(vip)
        self._duplicates.pop(vip, None)

    def failed(self, vip: IPAddress, now: float) -> None:
        """Another host has ``vip``."""
        self._duplicates[vip] = now + PAUSE

    def is_duplicate(self, vip: IPAddress, now: float) -> bool:
        """Whether ``vip`` is left to another host for now."""
        return self._duplicates.get(vip, now) > now
