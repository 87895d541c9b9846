"""The table of verdicts, cell by cell: against memberlist's rules in the order of its code, and as a core does it."""

from __future__ import annotations

import itertools

import pytest

from dialogue import Dialogue, address, alive
from memberlist.events import (
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
)
from memberlist.messages import Alive, Claim, Dead, State, Suspect
from memberlist.verdicts import TABLE, Age, Says, Standing, Verdict, age, judge

ALIVE = (Says.ALIVE, Says.ALTERED, Says.ELSEWHERE, Says.OUR_ALIVE)
OURSELVES = (Standing.OURSELVES, Standing.LEAVING)
GONE = (Standing.DEAD, Standing.LONG_DEAD, Standing.LEFT)
CELLS = [(standing, says, old) for standing, row in TABLE.items() for says, old in itertools.product(row, Age)]


def by_memberlist(standing: Standing, says: Says, age: Age) -> Verdict:
    """The rules as memberlist's `state.go` tries them, one after the other."""
    if says in ALIVE:
        return _alive_node(standing, says, age)
    if says is Says.SUSPECT:
        return _suspect_node(standing, age)
    return _dead_node(standing, says, age)


def _alive_node(standing: Standing, says: Says, age: Age) -> Verdict:
    if standing is Standing.LEAVING:
        return Verdict.IGNORE
    if says is Says.ELSEWHERE:  # then the incarnation isn't looked at
        return Verdict.JOIN if standing in (Standing.LEFT, Standing.LONG_DEAD) else Verdict.CONFLICT
    if standing is Standing.OURSELVES:
        if age is Age.OLDER:
            return Verdict.IGNORE
        if says is not Says.OUR_ALIVE:
            repeats = age is Age.SAME and says is Says.ALIVE
            return Verdict.IGNORE if repeats else Verdict.REFUTE
    elif age is not Age.NEWER:
        return Verdict.IGNORE
    match standing:
        case Standing.UNKNOWN | Standing.DEAD | Standing.LONG_DEAD | Standing.LEFT:
            return Verdict.JOIN
        case Standing.SUSPECT:
            return Verdict.CLEAR
        case _:
            return Verdict.UPDATE


def _suspect_node(standing: Standing, age: Age) -> Verdict:
    if standing is Standing.UNKNOWN:
        return Verdict.IGNORE
    if age is Age.OLDER:
        return _outdated(standing)
    if standing is Standing.SUSPECT:
        return Verdict.CONFIRM
    if standing in GONE or standing is Standing.LEAVING:
        return Verdict.IGNORE
    return Verdict.REFUTE if standing is Standing.OURSELVES else Verdict.SUSPECT


def _dead_node(standing: Standing, says: Says, age: Age) -> Verdict:
    if standing is Standing.UNKNOWN:
        return Verdict.IGNORE
    if age is Age.OLDER:
        return Verdict.IGNORE if says is Says.OUR_LEFT else _outdated(standing)
    if standing in GONE or standing is Standing.LEAVING:
        return Verdict.IGNORE
    if standing is Standing.OURSELVES and says is not Says.OUR_LEFT:
        return Verdict.REFUTE
    return Verdict.FAIL if says is Says.DEAD else Verdict.LEAVE


def _outdated(standing: Standing) -> Verdict:
    """The one rule that is ours: memberlist ignores what it refuted before, we refute it again."""
    return Verdict.REMIND if standing is Standing.OURSELVES else Verdict.IGNORE


@pytest.mark.parametrize(("standing", "says", "age"), CELLS)
def test_every_cell_is_what_memberlist_decides(standing: Standing, says: Says, age: Age) -> None:
    assert judge(standing, says, age) is by_memberlist(standing, says, age)


def test_only_claims_that_can_not_be_made_have_no_cell() -> None:
    missing = {(standing, says) for standing, row in TABLE.items() for says in Says if says not in row}

    for standing, says in missing:
        is_own_word = says in (Says.OUR_ALIVE, Says.OUR_LEFT, Says.ALTERED)
        assert (is_own_word and standing not in OURSELVES) or (standing, says) == (Standing.UNKNOWN, Says.ELSEWHERE)


@pytest.mark.parametrize(("claimed", "known", "is_"), [(4, 5, Age.OLDER), (5, 5, Age.SAME), (6, 5, Age.NEWER)])
def test_incarnations_are_compared_as_numbers(claimed: int, known: int, is_: Age) -> None:
    assert age(claimed, known) is is_


def test_a_stale_claim_never_wins_and_nobody_but_a_member_itself_ends_its_absence() -> None:
    for standing, says, how_old in CELLS:
        verdict = judge(standing, says, how_old)
        if how_old is Age.OLDER and says is not Says.ELSEWHERE:
            assert verdict.state is None
        if standing in GONE and verdict.state is not None:
            assert (verdict, says in ALIVE) == (Verdict.JOIN, True)


# --- as a core does it ---

EVENTS: dict[Verdict, type[Event]] = {
    Verdict.JOIN: MemberJoined,
    Verdict.UPDATE: MemberUpdated,
    Verdict.CLEAR: MemberUpdated,
    Verdict.SUSPECT: MemberSuspected,
    Verdict.FAIL: MemberFailed,
    Verdict.LEAVE: MemberLeft,
    Verdict.CONFLICT: NameConflict,
}
KNOWN = 5
"""The incarnation that is known of n1, or the one that we have."""


def brought_to(standing: Standing) -> Dialogue:
    """A core that knows n2 .. n5, and n1 so."""
    node = Dialogue(5, dead_node_reclaim_time=5.0, gossip_to_the_dead_time=1000.0)
    node.hears(alive(1, KNOWN))
    match standing:
        case Standing.SUSPECT:
            node.hears(Suspect(KNOWN, "n1", "n2"))
        case Standing.DEAD | Standing.LONG_DEAD:
            node.hears(Dead(KNOWN, "n1", "n2"))
        case Standing.LEFT:
            node.hears(Dead(KNOWN, "n1", "n1"))
        case Standing.OURSELVES | Standing.LEAVING:
            node.hears(Suspect(KNOWN - 1, "n0", "n2"))
    if standing is Standing.LEAVING:
        node.core.leave(node.at)
    if standing is Standing.LONG_DEAD:
        node.sleeps(5.1)
    node.core.restore(node.at, ())  # nothing to tell
    node.forget()
    return node


def claim(subject: int, says: Says, incarnation: int) -> Claim:
    match says:
        case Says.ALIVE:
            return alive(subject, incarnation, meta=b"" if subject == 0 else b"new")
        case Says.ALTERED:
            return alive(subject, incarnation, meta=b"not ours")
        case Says.ELSEWHERE:
            return alive(subject, incarnation, address=address(99))
        case Says.SUSPECT:
            return Suspect(incarnation, f"n{subject}", "n3")
        case Says.DEAD:
            return Dead(incarnation, f"n{subject}", "n3")
        case Says.LEFT:
            return Dead(incarnation, f"n{subject}", f"n{subject}")
        case _:
            raise AssertionError("nobody can say that but we")


@pytest.mark.parametrize(
    ("standing", "says", "age"), [cell for cell in CELLS if cell[1] not in (Says.OUR_ALIVE, Says.OUR_LEFT)]
)
def test_a_core_does_what_the_cell_says(standing: Standing, says: Says, age: Age) -> None:
    verdict = judge(standing, says, age)
    node = brought_to(standing)
    subject = {Standing.UNKNOWN: 8, Standing.OURSELVES: 0, Standing.LEAVING: 0}.get(standing, 1)
    incarnation = (age - 1) + (0 if subject == 8 else KNOWN)
    before = node.believes(subject)

    if incarnation >= 0:
        node.hears(claim(subject, says, incarnation), source=4)

    expected = before if verdict.state is None else verdict.state
    assert node.believes(subject) is expected
    kind = EVENTS.get(verdict)
    assert [type(event) for event in node.events] == ([kind] if kind else [])
    if subject == 0 and verdict is Verdict.REFUTE:
        assert node.incarnation(0) == max(KNOWN, incarnation) + 1
    elif subject == 0:
        assert node.incarnation(0) == KNOWN
    node.waits(0.2)
    told: list[Claim] = [*node.sent(Alive), *node.sent(Suspect), *node.sent(Dead)]
    passed_on = [said for said in told if said.node == f"n{subject}" and said.incarnation > 0]
    assert bool(passed_on) is (verdict not in (Verdict.IGNORE, Verdict.CONFLICT))


def test_our_own_words_are_taken() -> None:
    node = Dialogue(1)

    node.core.update_meta(node.at, b"new")
    node.core.leave(node.at)

    assert (node.believes(0), node.incarnation(0)) == (State.LEFT, 2)
