"""The member table and the rule which claim wins."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memberlist.members import MemberTable, Record, Verdict, judge_alive
from memberlist.messages import Alive, State

HERE, THERE = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
V2, V5 = bytes([1, 5, 2, 0, 0, 0]), bytes([1, 5, 5, 0, 0, 0])


def claim(incarnation: int, *, address: bytes = HERE, port: int = 7946, meta: bytes = b"") -> Alive:
    return Alive(incarnation, "n1", address, port, meta, V2)


def known(incarnation: int, state: State = State.ALIVE, *, since: float = 0.0) -> Record:
    record = Record("n1", HERE, 7946, since)
    record.adopt(claim(incarnation))
    record.become(state, since)
    return record


def judge(
    record: Record, alive: Alive, *, is_self: bool = False, own_word: bool = False, now: float = 0, reclaim: float = 0
) -> Verdict:
    return judge_alive(record, alive, is_self=is_self, own_word=own_word, now=now, reclaim=reclaim)


def table(names: int, seed: int = 1) -> MemberTable:
    members = MemberTable("n0", random.Random(seed))
    for number in range(names):
        record = Record(f"n{number}", bytes([10, 0, 0, number]), 7946, 0.0)
        record.become(State.ALIVE, 0.0)
        members.insert(record)
    return members


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(("incarnation", "verdict"), [(4, Verdict.IGNORE), (5, Verdict.IGNORE), (6, Verdict.ACCEPT)])
def test_a_claim_needs_a_higher_incarnation(state: State, incarnation: int, verdict: Verdict) -> None:
    assert judge(known(5, state), claim(incarnation)) is verdict


@pytest.mark.parametrize(
    ("alive", "verdict"),
    [
        (claim(4), Verdict.IGNORE),
        (claim(5), Verdict.IGNORE),
        (claim(5, meta=b"not mine"), Verdict.REFUTE),
        (claim(6), Verdict.REFUTE),
    ],
)
def test_only_we_speak_for_ourselves(alive: Alive, verdict: Verdict) -> None:
    assert judge(known(5), alive, is_self=True) is verdict


def test_our_own_word_is_taken() -> None:
    assert judge(known(5), claim(6, meta=b"new"), is_self=True, own_word=True) is Verdict.ACCEPT


@pytest.mark.parametrize("elsewhere", [claim(9, address=THERE), claim(9, port=1)])
@pytest.mark.parametrize(
    ("state", "now", "reclaim", "verdict"),
    [
        (State.ALIVE, 100, 30, Verdict.CONFLICT),
        (State.SUSPECT, 100, 30, Verdict.CONFLICT),
        (State.LEFT, 0, 0, Verdict.ACCEPT),
        (State.DEAD, 100, 0, Verdict.CONFLICT),
        (State.DEAD, 29, 30, Verdict.CONFLICT),
        (State.DEAD, 31, 30, Verdict.ACCEPT),
    ],
)
def test_a_name_moves_to_another_address_only_when_its_holder_is_gone(
    elsewhere: Alive, state: State, now: float, reclaim: float, verdict: Verdict
) -> None:
    assert judge(known(5, state), elsewhere, now=now, reclaim=reclaim) is verdict


def test_a_name_that_was_left_begins_anew_elsewhere_with_incarnation_1() -> None:
    assert judge(known(5, State.LEFT), claim(1, address=THERE)) is Verdict.ACCEPT


def test_the_address_in_ipv4_mapped_form_is_shown_as_ipv4_and_kept_as_it_came() -> None:
    mapped = bytes(10) + b"\xff\xff" + HERE

    record = Record("n1", mapped, 7946, 0.0)

    assert str(record.view.address) == "10.0.0.1"
    assert record.claim().address == mapped


def test_a_snapshot_does_not_change_later() -> None:
    members = table(3)
    before = members.snapshot()
    record = members.get("n1")
    assert record is not None

    record.become(State.DEAD, 1.0)
    members.changed()

    assert before["n1"].state is State.ALIVE
    assert members.snapshot()["n1"].state is State.DEAD
    assert dataclasses.replace(members.snapshot()["n1"], state=State.ALIVE) == before["n1"]


@given(st.integers(2, 30), st.integers(0, 1000))
def test_everybody_is_probed_once_per_round(size: int, seed: int) -> None:
    members = table(size, seed)

    targets = [members.next_to_probe(0.0, 30.0) for _ in range(2 * (size - 1))]

    for first in (0, size - 1):
        names = {target.name for target in targets[first : first + size - 1] if target}
        assert names == {f"n{number}" for number in range(1, size)}


def test_who_is_gone_is_not_probed_and_forgotten_in_time() -> None:
    members = table(4)
    for name, state, since in (("n1", State.DEAD, 0.0), ("n2", State.LEFT, 0.0), ("n3", State.DEAD, 90.0)):
        record = members.get(name)
        assert record is not None
        record.become(state, since)

    assert [members.next_to_probe(100.0, 30.0) for _ in range(5)] == [None] * 5
    assert set(members.snapshot()) == {"n0", "n3"}


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 1000))
def test_random_choices_are_different_members_that_fit(size: int, count: int, seed: int) -> None:
    members = table(size, seed)

    chosen = members.pick(count, lambda record: record.name != "n0")

    assert len({record.name for record in chosen}) == len(chosen) <= count
    assert all(record.name != "n0" for record in chosen)
    assert chosen or size == 1
