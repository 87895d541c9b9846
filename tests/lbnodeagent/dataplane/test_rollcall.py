"""Who is there, as the one node tells it that speaks for all."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.dataplane.nowhere import Nowhere
from lbnodeagent.dataplane.rollcall import HOLD, RollCall, standing_of
from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.interfaces import NicSubnet
from lbnodeagent.wire.dad import DuplicateDetection
from purelb.checks import Check
from purelb.membership import Attendance, MemberNode, Standing
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, NOW, wanted

WIRE = ip_network("10.31.0.0/16")
READY = Meta(True, reach=frozenset({WIRE}), version=Version(1, 2, 3))
VIPS = [ip_address(f"10.31.188.{number}") for number in range(64, 74)]


class Scene:
    """The node ``m`` among others."""

    def __init__(self, **others: Meta | None) -> None:
        self.members = Members("m")
        self.candidacy = Candidacy("m", self.members, Version(1, 2, 3))
        self.table = WantedVips(self.candidacy, DuplicateDetection())
        self.nowhere = Nowhere()
        self.rollcall = RollCall(self.members, self.candidacy, self.table, self.nowhere)
        self.candidacy.gossip_started(NOW)
        for name, meta in others.items():
            self.joined(name, meta)
        self.candidacy.is_synced = True
        self.candidacy.set_place([NicSubnet(WIRE, ETH0, "eth0", 16, has_carrier=True)], [], frozenset(), NOW)

    def joined(self, name: str, meta: Meta | None) -> None:
        self.members.joined(name, b"" if meta is None else encode_meta(meta), HOST, NOW)
        self.candidacy.update(NOW)
        self.rollcall.mark()

    def want(self, *vips: str) -> None:
        for vip in map(ip_address, vips):
            self.table.change(vip, wanted(vip))
        self.rollcall.mark()


def test_the_spokesman_tells_of_all_who_take_part_with_the_vips_that_each_owns() -> None:
    scene = Scene(w11=READY, w12=Meta(True, is_excluded=True, reach=frozenset({WIRE})), w13=Meta())
    scene.want(*map(str, VIPS))

    told = scene.rollcall.take(NOW)

    assert told is not None
    assert [(node.name, node.standing) for node in told.nodes] == [
        ("m", Standing.SERVING),
        ("w11", Standing.SERVING),
        ("w12", Standing.EXCLUDED),
        ("w13", Standing.STARTING),
    ]
    assert told.vips == sum(node.vips for node in told.nodes) == len(VIPS)
    assert all(bool(node.vips) == (node.standing is Standing.SERVING) for node in told.nodes)
    assert told.nodes[0].subnets == {WIRE}


def test_who_is_behind_the_api_is_said_to_be_though_it_serves() -> None:
    scene = Scene(w11=READY, w12=replace(READY, is_behind=True))

    told = scene.rollcall.take(NOW)

    assert told is not None
    assert [(node.standing, node.is_behind) for node in told.nodes[1:]] == [
        (Standing.SERVING, False),
        (Standing.SERVING, True),
    ]


def test_what_is_wrong_around_a_node_is_told_and_no_reason_not_to_serve() -> None:
    scene = Scene(w11=READY, w12=replace(READY, found_wrong=frozenset({Check.RP_FILTER})))

    told = scene.rollcall.take(NOW)

    assert told is not None
    assert [(node.standing, node.found_wrong) for node in told.nodes[1:]] == [
        (Standing.SERVING, frozenset()),
        (Standing.SERVING, {Check.RP_FILTER}),
    ]


def test_all_others_say_once_that_it_is_not_theirs_to_tell() -> None:
    scene = Scene(a=READY, b=READY)

    assert scene.rollcall.take(NOW) == Attendance()
    scene.joined("w12", READY)
    assert scene.rollcall.take(NOW + HOLD) is None


def test_the_next_in_line_knows_the_same() -> None:
    told = Scene(a=READY, w12=READY).rollcall.take(NOW)

    assert told is not None
    assert told.is_standin
    assert [node.name for node in told.nodes] == ["a", "m", "w12"]


def test_what_is_as_before_is_not_told_again_unless_nobody_is_left_who_heard_it() -> None:
    scene = Scene(w11=READY)
    first = scene.rollcall.take(NOW)
    scene.rollcall.mark()
    assert scene.rollcall.take(NOW + HOLD) is None

    scene.rollcall.repeat()
    assert scene.rollcall.take(NOW + 2 * HOLD) == first


def test_the_first_change_is_told_at_once_and_those_right_after_it_together() -> None:
    scene = Scene(w11=READY)
    scene.rollcall.take(NOW)
    assert scene.rollcall.deadline is None

    scene.joined("w12", READY)
    assert scene.rollcall.deadline == NOW + HOLD
    assert scene.rollcall.take(NOW + HOLD / 2) is None
    scene.joined("w13", READY)
    told = scene.rollcall.take(NOW + HOLD)
    assert told is not None
    assert [node.name for node in told.nodes] == ["m", "w11", "w12", "w13"]


def test_who_died_is_not_there_any_more() -> None:
    scene = Scene(w11=READY, w12=READY)
    scene.rollcall.take(NOW)

    scene.members.gone("w12", NOW, for_good=False)
    scene.candidacy.update(NOW)
    scene.rollcall.mark()

    told = scene.rollcall.take(NOW + HOLD)
    assert told is not None
    assert [node.name for node in told.nodes] == ["m", "w11"]


def test_an_agent_of_purelbs_own_takes_part_everywhere_and_reads_no_placements() -> None:
    told = Scene(w11=None).rollcall.take(NOW)

    assert told is not None
    assert told.nodes[1] == MemberNode("w11", Standing.SERVING, subnets=frozenset({WIRE}), speaks=False)


def test_an_agent_that_says_no_version_reads_no_placements() -> None:
    told = Scene(w11=Meta(True, reach=frozenset({WIRE}))).rollcall.take(NOW)

    assert told is not None
    assert [(node.speaks, node.version) for node in told.nodes] == [(True, "1.2.3"), (False, "")]


@pytest.mark.parametrize(
    ("meta", "standing", "reason"),
    [
        (READY, Standing.SERVING, ""),
        (Meta(True, failing=Failure.KUBE_PROXY, is_excluded=True), Standing.FAILING, "its kube-proxy doesn't answer"),
        (Meta(True, is_excluded=True), Standing.EXCLUDED, "cordoned or labelled"),
        (Meta(True, announces=False), Standing.EXCLUDED, "no LBNodeAgent with a local block is for it"),
        (Meta(True, idle=frozenset({WIRE})), Standing.FAILING, "its NIC on 10.31.0.0/16 has no cable"),
        (Meta(True, failing=Failure.UNSEEN), Standing.STARTING, "its agent has just started and hasn't looked yet"),
        (Meta(), Standing.STARTING, "its agent starts"),
        (Meta(True, is_leaving=True, is_excluded=True), Standing.LEAVING, "its agent shuts down"),
    ],
)
def test_a_node_that_does_not_serve_has_a_reason(meta: Meta, standing: Standing, reason: str) -> None:
    assert standing_of(meta) == (standing, reason)
