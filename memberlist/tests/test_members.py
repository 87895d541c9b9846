"""The member table."""

import dataclasses
import random

from hypothesis import given
from hypothesis import strategies as st

from memberlist.members import MemberTable, Record
from memberlist.messages import State

HERE = bytes([10, 0, 0, 1])


def table(names: int, seed: int = 1) -> MemberTable:
    members = MemberTable("n0", random.Random(seed))
    for number in range(names):
        record = Record(f"n{number}", bytes([10, 0, 0, number]), 7946, 0.0)
        record.become(State.ALIVE, 0.0)
        members.insert(record)
    return members


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
