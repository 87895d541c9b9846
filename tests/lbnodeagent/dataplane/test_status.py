"""What is reported of VIPs, and when; and what is tried again."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from lbnodeagent.dataplane.status import RETRY, Statuses
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.interfaces import NicSubnet
from lbnodeagent.tables import Announcement, Outcome, Refused, Remove
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, NOW, VIP, node, placed, wanted

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


def test_an_owner_that_serves_badly_says_so_and_one_that_hands_over_does_not() -> None:
    members = Members("a")
    candidacy = Candidacy("a", members, Version())
    told = Statuses(node(placed(ETH0, f"{VIP}/16")), candidacy)
    candidacy.want(VIP, wanted(VIP))
    candidacy.is_synced = candidacy.is_alone = True
    candidacy.gossip_started(0.0)
    candidacy.failing = Failure.KUBE_PROXY
    wire = ip_network("10.31.0.0/16")
    candidacy.set_place([NicSubnet(wire, ETH0, "eth0", 16, has_carrier=True)], [], frozenset(), 0.0)

    told.note([VIP], [], [], [], "kube-lb0", 0.0)
    assert [one.despite for one in told.take()] == ["its kube-proxy doesn't answer"]

    members.joined("b", encode_meta(Meta(True, reach=frozenset({wire}))), HOST, 0.0)
    candidacy.update(0.0)
    told.note([VIP], [], [], [], "kube-lb0", 1.0)
    assert [(one.successor, one.despite) for one in told.take()] == [("b", "")]


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
