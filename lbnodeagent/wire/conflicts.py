"""Which other hosts answer for our VIPs (RFC 5227), and when that is answered and told. Pure.

``now`` is monotonic seconds. It only notices; what follows is the data plane's. Whatever the wire says, what is
remembered and told of it is bounded per VIP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from lbnodeagent.messages import Peer
from lbnodeagent.tables import Conflict, Mac
from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError

T = TypeVar("T")

DEFEND_INTERVAL: Final = 10.0
"""Seconds between two defences of an address (RFC 5227 section 1.1)."""
REPORT_INTERVAL: Final = 60.0
"""Seconds between two reports of the same trouble."""
PATIENCE: Final = 3.0
"""Seconds after which a host that answered is asked again, before it's told. A node that has just started may not have
been heard of by gossip yet; then it is known, or it has let go."""
PEER_PATIENCE: Final = 30.0
"""Likewise for another node of ours: a hand-over takes 3 s, and views that differ grow alike in a few more."""
PEER_ASK: Final = 10.0
"""Seconds between two such questions meanwhile; it must have answered each."""
_PEER_GAP: Final = 15.0
HOSTS: Final = 8
"""Hosts that are remembered, and told within REPORT_INTERVAL, of one VIP: who invents MAC addresses fills no log."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a host that uses a VIP of ours."""

    defend: bool
    """Announce the VIP again."""
    report: bool
    """Tell the user."""
    ask_again: float | None = None
    """When to ask whether it still does."""


@dataclass(slots=True)
class _Heard:
    defended: float = -DEFEND_INTERVAL
    heard: dict[Mac, tuple[float, float]] = field(default_factory=dict)
    """When each host was heard first and last, the one that was heard last at the end."""
    reported: dict[Mac, float] = field(default_factory=dict)
    """When each host was told last, likewise."""


class Conflicts:
    """Remembers what was noticed, so that trouble is answered and reported at a bounded rate."""

    def __init__(self) -> None:
        self._of: dict[IPAddress, _Heard] = {}

    def heard(self, vip: IPAddress, mac: Mac, now: float, *, is_peer: bool, is_sure: bool = False) -> Verdict:
        """A host with ``mac`` speaks as ``vip``, which is here. A peer may for a moment, while it lets go.

        Unless ``is_sure``, who is no peer is asked a second time before it's told.
        """
        of = self._of.setdefault(vip, _Heard())
        defend = now - of.defended >= DEFEND_INTERVAL
        if defend:
            of.defended = now
        if now - of.reported.get(mac, -REPORT_INTERVAL) < REPORT_INTERVAL:
            return Verdict(defend, report=False)
        first, last = of.heard.pop(mac, (now, now))
        if (now - last >= _PEER_GAP) if is_peer else (now - first >= REPORT_INTERVAL):
            first = now
        _put(of.heard, mac, (first, now))
        told_at = first + (PEER_PATIENCE if is_peer else PATIENCE)
        if now < told_at and (is_peer or not is_sure):
            return Verdict(defend, report=False, ask_again=min(told_at, now + PEER_ASK))
        if sum(now - told < REPORT_INTERVAL for told in of.reported.values()) >= HOSTS:
            return Verdict(defend, report=False)
        of.reported.pop(mac, None)
        _put(of.reported, mac, now)
        return Verdict(defend, report=True)

    def forget(self, vip: IPAddress) -> None:
        """``vip`` is no longer here."""
        self._of.pop(vip, None)


def named(conflict: Conflict, neighbours: Mapping[IPAddress, Mac], peers: Iterable[Peer]) -> Conflict:
    """With the node whose agent isn't heard, but whose address has that MAC by the kernel's neighbour table."""
    for peer in sorted(peers):
        try:
            address = parse_address(peer.address)
        except AddressError:
            continue
        if neighbours.get(address) == conflict.mac:
            return replace(conflict, node=peer.node)
    return conflict


def _put(memory: dict[Mac, T], mac: Mac, at: T) -> None:
    """Remember, and forget who was longest not heard of."""
    memory[mac] = at
    if len(memory) > HOSTS:
        del memory[next(iter(memory))]
