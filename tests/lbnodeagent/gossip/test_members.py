"""Who is a candidate."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import REMEMBER, Candidate, Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress, IPNetwork
from purelb.version import Version
from tests.lbnodeagent.scenes import HOST, NOW

WIRE = frozenset[IPNetwork]({ip_network("10.31.0.0/16")})
RACK = frozenset[IPNetwork]({ip_network("10.32.0.0/16")})
VERSION = Version(0, 1, 0)
READY = Meta(is_ready=True, reach=WIRE, version=VERSION)


def roster(**others: Meta) -> Members:
    """The node ``own``, ready, and others."""
    made = Members("own")
    made.set_own(READY)
    for name, meta in others.items():
        made.joined(name, encode_meta(meta), HOST, NOW)
    return made


def is_onlink(members: Members, vip: IPAddress) -> bool:
    return any(vip in network for network in members.onlink())


def test_beside_an_agent_from_before_all_that_do_not_serve_count_alike_as_they_do_for_it() -> None:
    before = replace(READY, is_excluded=True, version=None)
    members = roster(w11=before, w12=replace(READY, failing=Failure.NOT_READY))
    members.set_own(replace(READY, failing=Failure.PROBE, is_excluded=True))

    assert {node: one.rank for node, one in members.candidates().items()} == {"own": 1, "w11": 1, "w12": 1}
    assert members.own_rank == 1
    members.gone("w11", NOW, for_good=True)
    assert {node: one.rank for node, one in members.candidates().items()} == {"own": 3, "w12": 2}


def test_ready_nodes_are_candidates_on_their_subnets() -> None:
    assert roster(w12=Meta(True, reach=RACK, version=VERSION)).candidates() == {
        "own": Candidate(WIRE),
        "w12": Candidate(RACK),
    }


def test_what_the_election_does_not_go_by_is_no_news_for_it() -> None:
    members = roster(w11=READY)
    behind = encode_meta(replace(READY, is_behind=True))

    assert not members.joined("w11", behind, HOST, NOW)
    meta = members.others["w11"]
    assert meta is not None
    assert meta.is_behind
    assert members.candidates()["w11"] == Candidate(WIRE), "it may go on with what it has"

    assert members.joined("w11", encode_meta(Meta(True, reach=RACK, version=VERSION, is_behind=True)), HOST, NOW)
    members.gone("w11", NOW, for_good=False)
    assert members.joined("w11", behind, HOST, NOW)


def test_a_node_that_does_not_know_the_vips_yet_is_none() -> None:
    assert roster(w12=Meta(is_ready=False, reach=WIRE)).candidates().keys() == {"own"}


def test_a_node_that_leaves_is_none_as_soon_as_it_says_so() -> None:
    members = roster(w11=READY, w12=READY)
    members.joined("w11", encode_meta(Meta(True, is_leaving=True, reach=WIRE)), HOST, NOW)
    members.is_leaving("w12", 0.0)

    assert members.candidates().keys() == {"own"}


def test_a_failed_node_is_none() -> None:
    members = roster(w12=READY)
    members.gone("w12", NOW, for_good=False)

    assert members.candidates().keys() == {"own"}


def test_an_excluded_node_is_a_candidate_for_what_nobody_else_can_have() -> None:
    members = roster(w12=Meta(True, is_excluded=True, reach=RACK, version=VERSION))

    assert members.candidates() == {"own": Candidate(WIRE), "w12": Candidate(RACK, 1)}


def test_a_node_that_does_not_serve_comes_after_an_excluded_one_and_one_that_is_both_last() -> None:
    failing = replace(READY, failing=Failure.KUBE_PROXY)
    members = roster(a=failing, b=replace(failing, is_excluded=True), c=replace(READY, is_excluded=True))

    assert {node: one.rank for node, one in members.candidates().items()} == {"own": 0, "c": 1, "a": 2, "b": 3}


def test_an_agent_that_does_not_tell_its_version_reads_no_plans() -> None:
    members = roster(w12=replace(READY, version=None))

    assert members.candidates()["w12"] == Candidate(WIRE, reads_plans=False)


def test_purelbs_own_agents_are_candidates_wherever_anybody_is() -> None:
    members = roster(w12=Meta(True, reach=RACK))
    members.joined("purelb", b"", HOST, NOW)

    assert members.candidates()["purelb"] == Candidate(WIRE | RACK, speaks=False, reads_plans=False)
    assert members.understands("w12")
    assert not members.understands("purelb")
    assert not members.understands("absent")


def test_a_meta_that_cannot_be_read_makes_no_candidate() -> None:
    members = roster()
    members.joined("w12", b"PL\x01\x01\xff", HOST, NOW)

    assert members.candidates().keys() == {"own"}


def test_a_vip_on_a_dead_nodes_subnet_is_still_no_routed_address() -> None:
    members = roster(w12=Meta(True, reach=RACK))
    vip = ip_address("10.32.0.9")

    members.gone("w12", NOW, for_good=False)
    assert is_onlink(members, vip)

    members.gone("w12", NOW, for_good=True)
    assert not is_onlink(members, vip)


def test_a_node_that_lost_its_cable_is_still_on_its_subnet_and_no_candidate_there() -> None:
    members = roster(w12=Meta(is_ready=True, idle=RACK, version=VERSION))
    members.set_own(Meta(is_ready=True, idle=WIRE, version=VERSION))

    assert is_onlink(members, ip_address("10.31.188.64"))
    assert is_onlink(members, ip_address("10.32.0.9"))
    assert members.candidates() == {"own": Candidate(frozenset()), "w12": Candidate(frozenset())}


def test_a_node_that_is_configured_away_from_a_subnet_is_not_on_it_any_more() -> None:
    members = roster()
    members.set_own(Meta(is_ready=True))

    assert not is_onlink(members, ip_address("10.31.188.64"))


def test_a_node_that_has_just_started_is_believed_to_be_where_it_was() -> None:
    members = roster(w12=Meta(True, reach=RACK))
    members.joined("w12", encode_meta(Meta()), HOST, NOW)

    assert is_onlink(members, ip_address("10.32.0.9"))


def test_a_dead_agents_nic_is_no_strangers() -> None:
    mac = Mac(bytes.fromhex("5254003c88cb"))
    members = roster(w12=Meta(True, reach=WIRE, macs=frozenset({mac})))

    members.gone("w12", NOW, for_good=False)

    assert members.node_with(mac) == "w12"


def test_a_rack_that_is_scrapped_is_forgotten_after_a_day_with_its_nics() -> None:
    mac = Mac(bytes.fromhex("5254003c88cb"))
    members = roster(w12=Meta(True, reach=RACK, macs=frozenset({mac})))
    vip = ip_address("10.32.0.9")

    members.gone("w12", NOW, for_good=False)
    members.forget_old(NOW + REMEMBER - 1)
    assert is_onlink(members, vip)

    members.forget_old(NOW + REMEMBER)
    assert not is_onlink(members, vip)
    assert members.node_with(mac) is None


def test_a_node_that_came_back_is_not_forgotten() -> None:
    members = roster(w12=Meta(True, reach=RACK))
    members.gone("w12", NOW, for_good=False)
    members.joined("w12", encode_meta(Meta(True, reach=RACK)), HOST, NOW)

    members.forget_old(NOW + REMEMBER)

    assert is_onlink(members, ip_address("10.32.0.9"))


def test_a_stranger_is_who_is_none_of_the_nodes_if_all_of_them_are_known() -> None:
    members = Members("w11")
    mine, foreign = Mac(b"\x52\x54\x00\x00\x00\x0c"), Mac(b"\x02\xaa\x00\x00\x00\x01")
    assert not members.is_stranger(foreign), "nobody has said who there is"

    members.expected = frozenset({"w12"})
    assert not members.is_stranger(foreign), "it may be w12's"

    members.joined("w12", encode_meta(Meta(is_ready=True, macs=frozenset({mine}))), ip_address("10.0.0.12"), 1.0)
    assert members.is_stranger(foreign)
    assert not members.is_stranger(mine)

    members.joined("w13", encode_meta(Meta()), ip_address("10.0.0.14"), 1.0)
    assert not members.is_stranger(foreign), "it has just started, and said nothing of its NICs yet"
    members.gone("w13", 2.0, for_good=True)
    assert members.is_stranger(foreign)

    members.joined("old", b"", ip_address("10.0.0.13"), 1.0)
    assert not members.is_stranger(foreign), "PureLB's own agents don't tell their NICs"


def macs(*numbers: int) -> frozenset[Mac]:
    return frozenset(Mac(number.to_bytes(6, "big")) for number in numbers)


def test_a_nic_without_addresses_is_its_node_s_all_the_same() -> None:
    members = roster(w12=replace(READY, macs=macs(1, 2)))

    members.joined("w12", encode_meta(replace(READY, macs=macs(2))), HOST, NOW)

    assert [members.node_with(mac) for mac in sorted(macs(1, 2))] == ["w12", "w12"]


def test_who_names_ever_more_nics_fills_no_memory() -> None:
    members = roster()
    for number in range(1, 100):
        members.joined("w12", encode_meta(replace(READY, macs=macs(number))), HOST, NOW)

    assert sum(members.node_with(mac) is not None for mac in macs(*range(100))) <= 16
    assert members.node_with(min(macs(99))) == "w12"


def test_who_has_named_no_nic_yet_may_have_any() -> None:
    members = roster(w12=READY, w13=replace(READY, macs=macs(1)))
    members.expected = frozenset({"w12", "w13"})

    assert members.unmet == "w12"


def says(members: Members, meta: Meta, at: float) -> None:
    """The node w12 does."""
    members.joined("w12", encode_meta(meta), HOST, at)


def test_an_agent_that_comes_back_is_away_until_it_does_and_serves() -> None:
    members = roster()
    says(members, replace(READY, returns_within=20), 100.0)
    members.gone("w12", 101.0, for_good=True)
    assert members.away(110.0) == {"w12": 120.0}
    assert set(members.absent) == {"w12"}

    says(members, replace(READY, is_ready=False), 111.0)
    says(members, replace(READY, failing=Failure.UNSEEN), 111.0)
    assert members.away(112.0) == {"w12": 120.0}
    assert not members.absent, "it is among the others"

    says(members, READY, 112.0)
    assert members.away(112.0) == {}


def test_one_that_does_not_come_back_in_time_is_away_no_more() -> None:
    members = roster()
    says(members, replace(READY, returns_within=20), 100.0)
    members.gone("w12", 101.0, for_good=True)

    assert members.away(120.0) == {}
    members.forget_old(130.0)
    assert not members.absent


def test_one_that_says_then_that_it_leaves_does() -> None:
    members = roster()
    says(members, replace(READY, returns_within=20), 100.0)
    members.is_leaving("w12", 100.5)

    assert members.away(101.0) == {}


def test_all_wait_if_each_says_so_and_purelbs_own_do_not() -> None:
    members = roster()
    assert members.all_wait
    says(members, replace(READY, waits=True), 100.0)
    assert members.all_wait
    says(members, READY, 100.0)
    assert not members.all_wait
    says(members, replace(READY, waits=True), 100.0)
    members.joined("purelb", b"", HOST, 100.0)
    assert not members.all_wait
