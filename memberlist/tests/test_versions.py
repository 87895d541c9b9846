"""Which members can live in one cluster."""

import pytest

from memberlist.members import Record
from memberlist.messages import Alive, NodeState, State
from memberlist.versions import incompatible

SERF = bytes([1, 5, 2, 2, 5, 5])
ADDRESS = bytes([10, 0, 0, 1])


def member(versions: bytes, state: State = State.ALIVE) -> Record:
    record = Record("known", ADDRESS, 7946, 0.0)
    record.adopt(Alive(1, "known", ADDRESS, 7946, b"", versions))
    record.become(state, 0.0)
    return record


def line(*versions: int, state: State = State.ALIVE) -> NodeState:
    return NodeState("joiner", ADDRESS, 7946, b"", 1, state, bytes(versions))


@pytest.mark.parametrize(
    "versions",
    [(1, 5, 2, 2, 5, 5), (1, 5, 2, 3, 5, 3), (1, 5, 5, 0, 255, 5), (1, 2, 2, 2, 5, 5), (2, 5, 3, 2, 5, 4)],
)
def test_who_speaks_what_all_understand_is_accepted(versions: tuple[int, ...]) -> None:
    if versions[2] == 3:
        assert incompatible([line(*versions)], [member(bytes([2, 5, 3, 2, 5, 5]))]) is None
    else:
        assert incompatible([line(*versions)], [member(SERF)]) is None


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ((1, 5, 2, 0, 0, 0), "delegate protocol"),
        ((1, 5, 2, 2, 4, 4), "delegate protocol 5"),
        ((1, 5, 6, 2, 5, 5), "protocol 6"),
        ((), "protocol 0"),
    ],
)
def test_who_speaks_what_nobody_understands_is_refused_with_a_sentence(
    versions: tuple[int, ...], sentence: str
) -> None:
    refusal = incompatible([line(*versions)], [member(SERF)])

    assert refusal is not None
    assert sentence in refusal


def test_a_dead_member_must_fit_too_but_sets_no_bounds() -> None:
    assert incompatible([line(1, 5, 9, 2, 5, 5, state=State.DEAD)], [member(SERF)]) is not None
    assert incompatible([line(1, 1, 2, 2, 5, 5, state=State.DEAD)], [member(SERF)]) is None


def test_one_bad_member_that_we_know_refuses_everybody() -> None:
    assert incompatible([line(*SERF)], [member(SERF), member(bytes(6))]) is not None
