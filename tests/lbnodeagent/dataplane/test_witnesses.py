"""Where the wire is asked, and when its silence means something."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.dataplane.witnesses import SILENT, Witnesses
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.doubts import RETRY
from lbnodeagent.election.inquiries import PAUSE, QUESTIONS
from lbnodeagent.election.subnets import Subnets
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import DefaultRoute, Mac
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.neighbours import Neighbours, Probe
from purelb.addresses import Family, IPAddress
from purelb.nodeagents import NodeAgentConfig
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, VIP, link, own, wanted

GATEWAY = ip_address("10.31.0.1")
PEER_MAC = Mac(bytes.fromhex("525400001212"))
ANOTHER_MAC = Mac(bytes.fromhex("020000000001"))


@dataclass
class Node:
    """It lost its only peer at 10 s, which had VIP; whom it asked is in ``asked``."""

    members: Members
    candidacy: Candidacy
    witnesses: Witnesses
    neighbours: Neighbours

    def asked(self, now: float) -> tuple[list[IPAddress], set[IPAddress]]:
        taken = self.witnesses.ask(now)
        frames = self.neighbours.take_frames()
        return [one.vip for one in frames if isinstance(one, Probe)], taken

    def after_all_questions(self) -> set[IPAddress]:
        for number in range(QUESTIONS):
            self.asked(10.0 + number * PAUSE)
        return self.asked(10.0 + QUESTIONS * PAUSE)[1]


def node(*gateways: IPAddress) -> Node:
    present = Present(
        [link(ETH0, "eth0")],
        [own(ETH0, "10.31.188.11/16")],
        [DefaultRoute(Family.IPV4, 0, (ETH0,), gateways=gateways)],
    )
    members = Members("own")
    candidacy = Candidacy("own", members, Version())
    neighbours = Neighbours(present, members, Conflicts(), DuplicateDetection())
    subnets = Subnets(present, candidacy)
    candidacy.is_synced, candidacy.is_alone = True, False
    candidacy.gossip_started(0.0)
    reach = frozenset({ip_network("10.31.0.0/16")})
    members.joined("w12", encode_meta(Meta(True, reach=reach, macs=frozenset({PEER_MAC}))), HOST, 0.0)
    candidacy.want(VIP, wanted(VIP))
    subnets.look(NodeAgentConfig(), frozenset(), 0.0)
    if candidacy.is_owner(VIP):
        pytest.fail("the scene wants w12 to be its owner")
    members.gone("w12", 10.0, for_good=False)
    candidacy.update(10.0)
    return Node(members, candidacy, Witnesses(members, candidacy, present, subnets, neighbours), neighbours)


def test_the_vip_and_the_gateway_are_asked_for_on_the_nic_of_its_subnet() -> None:
    assert node(GATEWAY).asked(10.0) == ([VIP, GATEWAY], set())


def test_where_the_gateway_answers_silence_means_that_nobody_has_it() -> None:
    alone = node(GATEWAY)
    alone.asked(10.0)
    alone.witnesses.heard(ETH0, GATEWAY, ANOTHER_MAC, 10.001)

    assert alone.after_all_questions() == {VIP}
    assert alone.candidacy.is_owner(VIP)


def test_where_not_even_the_gateway_answers_nothing_is_taken() -> None:
    alone = node(GATEWAY)

    assert alone.after_all_questions() == set()
    assert not alone.candidacy.is_owner(VIP)


def silent_for(alone: Node, seconds: float, begin: float = 10.0) -> None:
    """It asks all the time, and nobody answers."""
    for step in range(int(seconds / PAUSE) + 1):
        alone.asked(begin + step * PAUSE)


def test_a_wire_that_stays_silent_is_a_trouble_until_somebody_speaks() -> None:
    alone = node(GATEWAY)
    silent_for(alone, SILENT - RETRY)
    assert alone.witnesses.trouble == ""

    silent_for(alone, 2 * RETRY, 10.0 + SILENT)
    assert alone.witnesses.trouble == "no peer answers, nor does anybody on eth0"

    alone.witnesses.heard(ETH0, GATEWAY, ANOTHER_MAC, 20.0)
    silent_for(alone, RETRY, 20.0)
    assert alone.witnesses.trouble == ""


def test_when_peers_answer_again_no_wire_is_silent() -> None:
    alone = node(GATEWAY)
    silent_for(alone, SILENT + RETRY)
    assert alone.witnesses.trouble

    alone.candidacy.doubts.over(30.0)
    alone.asked(30.0)

    assert alone.witnesses.trouble == ""


def test_whoever_else_speaks_there_shows_that_the_wire_works() -> None:
    alone = node(GATEWAY)
    alone.asked(10.0)
    alone.witnesses.heard(ETH0, ip_address("10.31.7.7"), ANOTHER_MAC, 10.002)

    assert alone.after_all_questions() == {VIP}


def test_without_a_gateway_silence_is_enough() -> None:
    assert node().after_all_questions() == {VIP}


def test_an_answer_of_its_peer_leaves_it_there() -> None:
    alone = node(GATEWAY)
    alone.asked(10.0)

    assert alone.witnesses.heard(ETH0, VIP, PEER_MAC, 10.001)
    assert alone.candidacy.owner(VIP) == "w12"


def test_its_own_frames_are_no_answer() -> None:
    alone = node(GATEWAY)
    alone.asked(10.0)

    assert not alone.witnesses.heard(ETH0, VIP, Mac(bytes((0x52, 0x54, 0, 0, 0, ETH0))), 10.001)
    assert alone.candidacy.doubts.is_open(VIP)


def test_what_a_host_of_somebody_else_says_to_have_is_left_to_no_node() -> None:
    alone = node()
    alone.asked(10.0)
    assert not alone.witnesses.heard(ETH0, VIP, ANOTHER_MAC, 10.001)

    assert alone.after_all_questions() == {VIP}
    assert alone.witnesses.has_taken(VIP, ANOTHER_MAC, 11.0) is None
    assert alone.witnesses.has_taken(VIP, PEER_MAC, 11.0) is False


def test_an_unknown_host_may_be_a_node_that_never_said_where_it_is() -> None:
    alone = node()
    alone.members.expected = frozenset({"w12", "w13"})
    alone.asked(10.0)

    assert alone.witnesses.heard(ETH0, VIP, ANOTHER_MAC, 10.001)
    assert alone.candidacy.owner(VIP) == "w13"
