"""What the neighbours of a NIC are told of VIPs, and when no longer."""

from __future__ import annotations

from lbnodeagent.gossip.members import Members
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Neighbours
from tests.lbnodeagent.scenes import ETH0, NOW, VIP, link, node, placed

MAC = link(ETH0, "eth0").mac
assert MAC is not None
TOLD = Announce(VIP, "eth0", MAC)


def announcing() -> Neighbours:
    """Of a VIP that was placed at NOW."""
    present = node(placed(ETH0, f"{VIP}/16"))
    neighbours = Neighbours(present, Members("w11"), Conflicts(), DuplicateDetection())
    neighbours.placed(VIP, NOW)
    neighbours.announce_placed([VIP], NOW)
    assert neighbours.take_frames() == [TOLD]
    return neighbours


def test_a_placed_vip_is_announced_again_after_a_moment() -> None:
    neighbours = announcing()

    neighbours.run_due(NOW + 0.1)

    assert TOLD in neighbours.take_frames()


def test_who_gives_a_vip_away_does_not_call_the_neighbours_back_from_its_new_owner() -> None:
    neighbours = announcing()

    neighbours.gives_away(VIP, is_given=True)
    neighbours.run_due(NOW + 0.1)
    assert TOLD not in neighbours.take_frames()

    neighbours.gives_away(VIP, is_given=False)  # it is its own again
    neighbours.run_due(NOW + 0.6)
    assert TOLD in neighbours.take_frames()
