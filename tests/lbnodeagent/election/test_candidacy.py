"""When this node is a candidate, and what it then owns."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from lbnodeagent.election.candidacy import DEAF, SETTLE, UNHEARD, Candidacy
from lbnodeagent.election.doubts import CATCH_UP
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.interfaces import NicSubnet
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, VIP, wanted

WIRE = NicSubnet(ip_network("10.31.0.0/16"), ETH0, "eth0", 16, has_carrier=True)
UNPLUGGED = NicSubnet(ip_network("10.31.0.0/16"), ETH0, "eth0", 16, has_carrier=False)


def candidacy(*peers: str, is_alone: bool = False) -> tuple[Candidacy, Members]:
    """A node that hears its peers."""
    members = Members("own")
    own = Candidacy("own", members, Version())
    own.is_alone = is_alone
    own.gossip_started(0.0)
    own.catch_up(CATCH_UP)
    for name in peers:
        members.joined(name, encode_meta(Meta(True, reach=frozenset({WIRE.network}))), HOST, 0.0)
    own.want(VIP, wanted(VIP))
    return own, members


def test_it_is_none_before_it_knows_what_is_wanted() -> None:
    own, _ = candidacy("w12")
    own.set_place([WIRE], [], frozenset(), 0.0)
    assert not own.is_candidate

    own.is_synced = True
    own.update(0.0)
    assert own.is_candidate


def test_alone_it_waits_whether_its_peers_can_be_heard() -> None:
    own, _ = candidacy()
    own.is_synced = True

    own.set_place([WIRE], [], frozenset(), 0.0)
    assert not own.is_candidate
    assert own.deadline == SETTLE

    assert own.update(SETTLE) == {VIP}
    assert own.owner(VIP) == UNHEARD  # the wire is asked first

    own.doubts.settle(VIP)
    assert own.owner(VIP) == "own"


def test_a_node_without_peers_waits_for_nobody() -> None:
    own, _ = candidacy(is_alone=True)
    own.is_synced = True

    assert own.set_place([WIRE], [], frozenset(), 0.0) == {VIP}


def test_a_node_that_gets_its_cable_back_does_not_take_what_its_peers_may_own() -> None:
    own, members = candidacy("w12")
    own.is_synced = True
    own.set_place([WIRE], [], frozenset(), 0.0)

    own.set_place([UNPLUGGED], [], frozenset(), 10.0)
    members.gone("w12", 10.5, for_good=False)
    own.update(10.5)
    assert own.owner(VIP) is None

    own.set_place([WIRE], [], frozenset(), 20.0)
    assert not own.is_candidate

    members.joined("w12", encode_meta(Meta(True, reach=frozenset({WIRE.network}))), HOST, 0.0)
    own.update(20.1)
    assert own.is_candidate


def test_a_leaving_node_owns_nothing() -> None:
    own, _ = candidacy("w12")
    own.is_synced = True
    own.set_place([WIRE], [], frozenset(), 0.0)

    own.is_leaving = True
    own.update(1.0)

    assert own.owner(VIP) == "w12"


def test_it_tells_where_it_is_also_without_a_cable() -> None:
    own, members = candidacy("w12")

    own.set_place([UNPLUGGED], [], frozenset(), 0.0)

    assert members.own.reach == frozenset()
    assert members.own.idle == {WIRE.network}


def test_among_agents_with_another_key_it_waits_before_it_takes_what_they_may_own() -> None:
    own, _ = candidacy()
    own.is_synced = True
    own.set_place([WIRE], [], frozenset(), 0.0)
    own.is_deaf = True

    own.update(SETTLE)
    assert not own.is_candidate
    assert own.deadline == DEAF

    assert own.update(DEAF) == {VIP}, "but not for ever"


def test_it_takes_part_at_once_when_the_keys_have_become_the_same() -> None:
    own, members = candidacy()
    own.is_synced = own.is_deaf = True
    own.set_place([WIRE], [], frozenset(), 0.0)
    own.update(SETTLE)

    own.is_deaf = False
    members.joined("w12", encode_meta(Meta(True, reach=frozenset({WIRE.network}))), HOST, 0.0)
    own.update(SETTLE + 1)
    assert own.is_candidate


def test_an_agent_that_has_worked_for_a_while_keeps_its_vips_when_one_with_another_key_comes() -> None:
    own, _ = candidacy()
    own.is_synced = True
    own.set_place([WIRE], [], frozenset(), 0.0)
    own.update(DEAF)

    own.is_deaf = True
    own.update(DEAF + 1)
    assert own.is_candidate


ABLE = Meta(True, reach=frozenset({WIRE.network}))
UNCONFIGURED = Meta(True, announces=False)


def among(**peers: Meta) -> Candidacy:
    """A candidate that can announce, and these."""
    own, members = candidacy(is_alone=True)
    own.is_synced = True
    for name, meta in peers.items():
        members.joined(name, encode_meta(meta), HOST, 0.0)
    own.set_place([WIRE], [], frozenset(), 0.0)
    return own


def test_a_node_without_an_lbnodeagent_can_stand_in_for_nobody() -> None:
    own = among(w12=ABLE, w13=UNCONFIGURED, w14=replace(ABLE, is_excluded=True))

    assert own.able == {"own", "w12", "w14"}
    assert own.best == {"own", "w12"}
    assert own.better == set()


def test_a_node_that_does_not_serve_leaves_routed_vips_to_whoever_serves_better() -> None:
    able = replace(ABLE, version=Version())
    own = among(w12=able, w13=replace(able, is_excluded=True), w14=replace(able, failing=Failure.KUBE_PROXY))
    own.failing = Failure.NOT_READY
    own.update(0.0)

    assert own.better == {"w12", "w13"}
    assert own.best == {"w12"}


def test_among_nodes_that_do_not_serve_all_that_are_alike_route() -> None:
    own = among(w12=replace(ABLE, failing=Failure.KUBE_PROXY))
    own.failing = Failure.NOT_READY
    own.update(0.0)

    assert own.better == set()
    assert own.best == {"own", "w12"}


def test_a_vip_is_where_it_is_planned() -> None:
    own = among(w12=replace(ABLE, version=Version()))

    for node in ("w12", "own"):
        own.want(VIP, replace(wanted(VIP), plan=(node,)))
        assert own.owner(VIP) == node


def test_agents_that_do_not_tell_their_version_know_the_hash_rule_alone() -> None:
    own = among(w12=ABLE)
    by_hash = own.owner(VIP)

    for node in ("w12", "own"):
        own.want(VIP, replace(wanted(VIP), plan=(node,)))
        assert own.owner(VIP) == by_hash


def test_a_node_that_only_routes_can() -> None:
    assert among(w12=Meta(True)).best == {"own", "w12"}


def test_one_that_can_announce_speaks_for_all() -> None:
    assert among(a=UNCONFIGURED).is_spokesman
    assert not among(a=ABLE).is_spokesman


def test_where_none_can_one_of_those_speaks() -> None:
    own, members = candidacy(is_alone=True)
    own.is_synced = True
    members.joined("z", encode_meta(UNCONFIGURED), HOST, 0.0)
    own.set_place([], [], frozenset(), 0.0, announces=False)

    assert own.is_spokesman
    assert own.able == set()


def test_purelbs_own_agents_announce_and_never_speak() -> None:
    own, members = candidacy(is_alone=True)
    own.is_synced = True
    members.joined("a", b"", HOST, 0.0)
    own.set_place([WIRE], [], frozenset(), 0.0)

    assert own.able == {"a", "own"}
    assert own.is_spokesman


def test_what_was_conceded_is_anothers_until_that_one_or_what_is_wanted_is_another() -> None:
    ready = replace(ABLE, version=Version())
    for change in ("nothing", "the node", "the VIP", "its word", "another's word"):
        own, members = candidacy("w12")
        members.joined("w12", encode_meta(ready), HOST, 0.0)
        own.is_synced = True
        own.set_place([WIRE], [], frozenset(), 0.0)
        own.want(VIP, replace(wanted(VIP), plan=("own",)))
        own.concede(VIP, "w12", 0.0)
        assert own.owner(VIP) == "w12"

        match change:
            case "the node":
                members.joined("w12", encode_meta(replace(ready, is_excluded=True)), HOST, 0.0)
            case "the VIP":
                own.want(VIP, replace(wanted(VIP), plan=("own", "w13")))
            case "its word":
                own.concessions.take_back(VIP, "w12")
            case "another's word":
                own.concessions.take_back(VIP, "w13")
            case _:
                pass
        assert own.update(0.0) == ({VIP} if change == "the node" else set())

        assert own.is_owner(VIP) == (change not in ("nothing", "another's word")), change


def test_nothing_is_conceded_to_who_is_no_candidate() -> None:
    own = among()
    own.concede(VIP, "w12", 0.0)

    assert own.is_owner(VIP)
