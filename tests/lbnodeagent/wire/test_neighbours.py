"""What the neighbours of a NIC are told of VIPs, and when no longer."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lbnodeagent.gossip.members import Members
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import WINDOW, DuplicateDetection
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import BURST, SPACING, Neighbours, Probe
from purelb.nodeagents import GarpConfig
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


def told_by(neighbours: Neighbours, end: float) -> list[tuple[float, Announce]]:
    """What neighbours are told until then, each with its time."""
    told = []
    while (now := max(neighbours.deadline, NOW)) <= end:
        neighbours.run_due(now)
        told += [(now, one) for one in neighbours.take_frames() if isinstance(one, Announce)]
    return told


def test_a_vip_that_stays_is_announced_before_switches_forget_it() -> None:
    times = [at for at, one in told_by(announcing(), NOW + 1500) if one == TOLD]

    assert max(later - earlier for earlier, later in pairwise([NOW, *times])) <= 241
    assert len(times) < 3 + 1500 / 200  # the repeats of the placement, and no more than it takes


def test_for_many_vips_is_asked_in_bursts_whose_answers_fit_into_a_socket_s_buffer() -> None:
    present = node(*(placed(ETH0, f"{VIP + number}/16") for number in range(150)))
    neighbours = Neighbours(present, Members("w11"), Conflicts(), DuplicateDetection())
    neighbours.run_due(NOW)
    neighbours.take_frames()

    neighbours.ask_for_all(NOW + 1)
    bursts = []
    while (due := neighbours.deadline) < NOW + 2:
        neighbours.run_due(due)
        bursts.append((due, [one.vip for one in neighbours.take_frames() if isinstance(one, Probe)]))

    assert [len(vips) for _, vips in bursts] == [BURST, BURST, 150 - 2 * BURST]
    assert len({vip for _, vips in bursts for vip in vips}) == 150
    assert bursts[-1][0] == pytest.approx(NOW + 1 + 2 * SPACING)


def test_what_is_given_away_is_not_refreshed() -> None:
    neighbours = announcing()
    told_by(neighbours, NOW + 60)
    neighbours.gives_away(VIP, is_given=True)

    assert told_by(neighbours, NOW + 600) == []


@pytest.mark.parametrize("garp", [GarpConfig(refresh=0.0), GarpConfig(enabled=False)])
def test_refreshing_can_be_turned_off(garp: GarpConfig) -> None:
    neighbours = announcing()
    neighbours.configure(garp, NOW)

    assert [at for at, _ in told_by(neighbours, NOW + 600) if at > NOW + 60] == []


def placed_first() -> tuple[Neighbours, DuplicateDetection]:
    """Of a VIP of a new Service that was placed at NOW."""
    detection = DuplicateDetection()
    detection.expect(VIP)
    neighbours = Neighbours(node(placed(ETH0, f"{VIP}/16")), Members("w11"), Conflicts(), detection)
    neighbours.placed(VIP, NOW)
    neighbours.announce_placed([VIP], NOW)
    return neighbours, detection


def test_the_wire_is_asked_for_a_new_vip_at_once_and_told_a_moment_later() -> None:
    neighbours, _ = placed_first()
    assert neighbours.take_frames() == [Probe(VIP, "eth0", TOLD.mac)]
    assert neighbours.deadline <= NOW + WINDOW

    neighbours.run_due(NOW + WINDOW)
    assert TOLD in neighbours.take_frames()


def test_it_is_not_told_of_one_that_turned_out_to_be_anothers_or_went_to_another_node_meanwhile() -> None:
    left, detection = placed_first()
    detection.failed(VIP, NOW + 0.001)
    gone, _ = placed_first()
    gone.gives_away(VIP, is_given=True)

    for neighbours in (left, gone):
        neighbours.run_due(NOW + WINDOW)
        assert TOLD not in neighbours.take_frames()
