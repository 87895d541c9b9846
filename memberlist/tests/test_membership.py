"""Claims about members: alive, suspect, dead, and what we say of ourselves."""

import ipaddress

import pytest

from dialogue import VERSIONS, Dialogue, address, alive
from memberlist.delegate import Delegate
from memberlist.events import (
    Member,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
)
from memberlist.messages import Alive, Dead, NodeState, PushPull, State, Suspect


def line(number: int, state: State, incarnation: int = 1) -> NodeState:
    return NodeState(f"n{number}", address(number), 7946, b"", incarnation, state, VERSIONS)


def merge(node: Dialogue, *lines: NodeState) -> None:
    node.is_asked(PushPull(False, lines))


def test_at_the_start_a_member_joins_itself() -> None:
    node = Dialogue()

    assert list(node.core.members()) == ["n0"]
    assert node.believes(0) is State.ALIVE
    assert node.incarnation(0) == 1


def test_a_new_member_joins_and_is_passed_on() -> None:
    node = Dialogue(1)

    node.hears(alive(2))

    assert [event.member.name for event in node.saw(MemberJoined)] == ["n2"]
    node.waits(0.2)
    assert alive(2) in node.sent(Alive, to=1)


def test_old_news_changes_nothing() -> None:
    node = Dialogue(1)

    node.hears(alive(1, meta=b"other"))

    assert node.events == []
    assert node.core.members()["n1"].meta == b""


def test_new_metadata_update_a_member() -> None:
    node = Dialogue(1)

    node.hears(alive(1, 2, meta=b"new"))

    assert [event.member.meta for event in node.saw(MemberUpdated)] == [b"new"]


def test_a_suspected_member_that_refutes_is_alive_again() -> None:
    node = Dialogue(4)
    node.hears(Suspect(1, "n2", "n1"))
    assert [event.member.name for event in node.saw(MemberSuspected)] == ["n2"]

    node.hears(alive(2, 2))
    node.hears(Suspect(1, "n2", "n3"), Suspect(1, "n2", "n4"))

    assert node.believes(2) is State.ALIVE
    assert [event.member.name for event in node.saw(MemberUpdated)] == ["n2"]
    assert (node.core.counters["suspicions"], node.core.counters["suspicions refuted"]) == (1, 1)


def test_a_suspicion_that_two_others_confirm_ends_in_death_after_the_shortest_time() -> None:
    node = Dialogue(4, disable_tcp_pings=True)
    node.hears(Suspect(1, "n2", "n1"))
    node.hears(Suspect(1, "n2", "n3"))
    node.hears(Suspect(1, "n2", "n4"))

    node.waits(3.99)
    assert node.believes(2) is State.SUSPECT
    node.waits(0.02)

    assert node.believes(2) is State.DEAD
    assert [event.member.name for event in node.saw(MemberFailed)] == ["n2"]


def test_a_confirmation_is_passed_on_and_a_repetition_is_not() -> None:
    node = Dialogue(4)
    node.hears(Suspect(1, "n2", "n1"))
    node.waits(0.9)
    node.forget()

    node.hears(Suspect(1, "n2", "n1"))
    assert Suspect(1, "n2", "n1") not in node.sent(Suspect)
    node.hears(Suspect(1, "n2", "n3"))
    node.waits(0.2)

    assert Suspect(1, "n2", "n3") in node.sent(Suspect)


@pytest.mark.parametrize(
    "claim", [Suspect(0, "n1", "n2"), Suspect(1, "stranger", "n2"), Dead(0, "n1", "n2"), Dead(1, "stranger", "n2")]
)
def test_claims_that_are_out_of_date_or_about_strangers_are_ignored(claim: Suspect | Dead) -> None:
    node = Dialogue(2)

    node.hears(claim)

    assert node.believes(1) is State.ALIVE
    assert node.events == []


def test_a_dead_member_failed_and_one_that_says_so_itself_left() -> None:
    node = Dialogue(2)

    node.hears(Dead(1, "n1", "n2"))
    node.hears(Dead(1, "n2", "n2"))

    assert [event.member.state for event in node.saw(MemberFailed)] == [State.DEAD]
    assert [event.member.state for event in node.saw(MemberLeft)] == [State.LEFT]


def test_who_is_dead_does_not_become_left_nor_the_reverse() -> None:
    node = Dialogue(2)
    node.hears(Dead(1, "n1", "n2"))
    node.hears(Dead(1, "n2", "n2"))
    node.forget()

    node.hears(Dead(1, "n1", "n1"))
    node.hears(Dead(1, "n2", "n1"))

    assert (node.believes(1), node.believes(2)) == (State.DEAD, State.LEFT)
    assert node.events == []


@pytest.mark.parametrize("gone", [Dead(1, "n1", "n2"), Dead(1, "n1", "n1")])
def test_who_is_gone_comes_back_with_a_higher_incarnation(gone: Dead) -> None:
    node = Dialogue(2)
    node.hears(gone)
    node.forget()

    node.hears(alive(1, 1))
    assert node.events == []
    node.hears(alive(1, 2))

    assert [event.member.name for event in node.saw(MemberJoined)] == ["n1"]


# --- about ourselves ---


@pytest.mark.parametrize(
    "accusation", [Suspect(1, "n0", "n1"), Dead(1, "n0", "n1"), Dead(1, "n0", "n0"), alive(0, 1, meta=b"not ours")]
)
def test_a_claim_about_ourselves_is_refuted_with_a_higher_incarnation(accusation: Alive | Suspect | Dead) -> None:
    node = Dialogue(2)
    health = node.core.health

    node.hears(accusation)
    node.waits(0.2)

    assert node.believes(0) is State.ALIVE
    assert node.incarnation(0) == 2
    assert node.core.health == health + 1
    assert alive(0, 2) in node.sent(Alive)
    assert node.core.counters["refutations"] == 1


def test_a_refutation_exceeds_whatever_we_are_accused_of() -> None:
    node = Dialogue(2)

    node.hears(Suspect(7, "n0", "n1"))

    assert node.incarnation(0) == 8


def test_the_largest_incarnation_is_no_way_to_crash_us() -> None:
    node = Dialogue(2)

    node.hears(Suspect(0xFFFF_FFFF, "n0", "n1"))
    node.waits(1)

    assert node.incarnation(0) == 0xFFFF_FFFF


def test_after_a_restart_the_answer_to_the_join_makes_us_refute_our_old_self() -> None:
    restarted = Dialogue(1)

    merge(restarted, line(0, State.DEAD, incarnation=5))

    assert restarted.incarnation(0) == 6
    assert restarted.believes(0) is State.ALIVE


def test_our_own_words_coming_back_are_not_refuted() -> None:
    node = Dialogue(1)

    node.hears(alive(0, 1))

    assert node.incarnation(0) == 1
    assert node.events == []


def test_who_leaves_no_longer_contradicts() -> None:
    node = Dialogue(2)
    node.core.leave(node.at)
    node.forget()

    node.hears(alive(0, 9))
    node.hears(Suspect(9, "n0", "n1"))

    assert node.believes(0) is State.LEFT
    assert node.events == []


# --- names and addresses ---


def test_a_name_claimed_from_another_address_is_a_conflict() -> None:
    node = Dialogue(1)

    node.hears(alive(1, 5, address=address(99)))

    (conflict,) = node.saw(NameConflict)
    assert (conflict.existing.name, str(conflict.address), conflict.port) == ("n1", "10.0.0.99", 7946)
    assert str(node.core.members()["n1"].address) == "10.0.0.1"


def test_the_name_of_a_member_that_left_is_free_at_once() -> None:
    node = Dialogue(2)
    node.hears(Dead(1, "n1", "n1"))

    node.hears(alive(1, 1, address=address(99)))

    assert str(node.core.members()["n1"].address) == "10.0.0.99"
    assert node.believes(1) is State.ALIVE


def test_the_name_of_a_dead_member_is_free_after_the_reclaim_time() -> None:
    node = Dialogue(3, dead_node_reclaim_time=5.0)
    node.hears(Dead(1, "n1", "n2"))

    node.hears(alive(1, 1, address=address(99)))
    assert node.believes(1) is State.DEAD
    node.sleeps(5.1)
    node.hears(alive(1, 1, address=address(99)))

    assert str(node.core.members()["n1"].address) == "10.0.0.99"


def test_invented_names_do_not_fill_our_memory() -> None:
    node = Dialogue(2, members_max=5)

    for number in range(3, 100):
        node.hears(alive(number))

    assert len(node.core.members()) == 5
    node.hears(alive(1, 7))
    assert node.incarnation(1) == 7


def test_port_0_means_our_own_port() -> None:
    node = Dialogue()

    node.hears(alive(1, port=0))

    assert node.core.members()["n1"].port == 7946


@pytest.mark.parametrize("raw", [b"", b"\x0a", bytes(5), bytes(17)])
def test_an_address_of_an_odd_length_is_ignored(raw: bytes) -> None:
    node = Dialogue()

    node.hears(alive(1, address=raw))

    assert node.believes(1) is None


@pytest.mark.parametrize("versions", [bytes([0, 5, 2, 0, 0, 0]), bytes([1, 0, 2]), bytes([3, 2, 2, 0, 0, 0])])
def test_nonsensical_versions_are_ignored(versions: bytes) -> None:
    node = Dialogue()

    node.hears(alive(1, versions=versions))

    assert node.believes(1) is None


def test_members_outside_the_allowed_networks_are_ignored() -> None:
    node = Dialogue(allowed_networks=(ipaddress.ip_network("10.0.0.0/29"), ipaddress.ip_network("fd00::/8")))

    node.hears(alive(7))
    node.hears(alive(8))

    assert (node.believes(7), node.believes(8)) == (State.ALIVE, None)


class Bouncer(Delegate):
    def accepts(self, member: Member) -> bool:
        return member.meta != b"stranger"


def test_the_application_may_turn_members_away() -> None:
    node = Dialogue(delegate=Bouncer())

    node.hears(alive(1, meta=b"stranger"))
    node.hears(alive(2, meta=b"friend"))

    assert (node.believes(1), node.believes(2)) == (None, State.ALIVE)


# --- push/pull ---


def test_someone_elses_dead_is_only_a_suspicion_here() -> None:
    node = Dialogue(2)

    merge(node, line(1, State.DEAD), line(2, State.SUSPECT))

    assert (node.believes(1), node.believes(2)) == (State.SUSPECT, State.SUSPECT)


def test_someone_who_left_is_taken_to_have_left() -> None:
    node = Dialogue(2)

    merge(node, line(1, State.LEFT))

    assert node.believes(1) is State.LEFT


def test_a_stranger_said_to_be_dead_is_not_remembered() -> None:
    node = Dialogue(1)

    merge(node, line(5, State.DEAD))

    assert node.believes(5) is None


# --- our metadata ---


def test_new_metadata_of_ours_are_announced() -> None:
    node = Dialogue(1)

    node.core.update_meta(node.at, b"new")
    node.waits(0.2)

    assert alive(0, 2, meta=b"new") in node.sent(Alive, to=1)
    assert [event.member.meta for event in node.saw(MemberUpdated)] == [b"new"]
