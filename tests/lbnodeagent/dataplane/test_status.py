"""What is reported of VIPs, and when; and what is tried again."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.dataplane.status import RETRY, Statuses
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gossip.members import Members
from lbnodeagent.tables import Announcement, Outcome, Refused, Remove
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, NOW, VIP, node, placed

VIPS = [ip_address("10.31.64.1"), ip_address("10.31.64.2")]


def statuses() -> Statuses:
    return Statuses(node(placed(ETH0, f"{VIP}/16")), Candidacy("a", Members("a"), Version()))


def test_reports_are_held_until_the_passes_are_done_and_told_once() -> None:
    told = statuses()

    for vip in VIPS:
        told.note([vip], [], [], [], "kube-lb0", 0.0)
        assert told.has_unsent

    assert told.take() == [Announcement(vip, "withdrawn") for vip in VIPS]
    assert not told.has_unsent


def test_all_of_it_is_told_again_to_who_begins_anew_but_as_no_news() -> None:
    told = statuses()
    told.note(VIPS, [], [], [], "kube-lb0", 0.0)
    told.take()

    told.repeat()

    assert told.take() == [Announcement(vip, "withdrawn", is_fresh=False) for vip in VIPS]


def test_a_removal_that_the_kernel_refused_is_tried_again_soon() -> None:
    told = statuses()
    removal = Remove(VIP, ETH0, "eth0", 16)
    refused: list[Outcome] = [Refused(removal, "removing it: Device or resource busy (EBUSY)")]

    told.note([VIP], [removal], [], refused, "kube-lb0", NOW)
    assert told.deadline == NOW + RETRY[0]
    assert told.due(NOW + RETRY[0]) == {VIP}

    told.note([VIP], [removal], [], refused, "kube-lb0", NOW + 1)
    assert told.deadline == NOW + 1 + RETRY[1]

    told.note([VIP], [removal], [], [], "kube-lb0", NOW + 2)
    assert told.due(NOW + 2 + RETRY[1]) == set()
