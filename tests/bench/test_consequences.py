"""What must not come of strangers and failing API servers: each is told by its name, and what explains it counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.chaos import Outcome, tell
from bench.consequences import AFTERMATH, CONSEQUENCES, STEADY, Aftermath, Consequence, consequences
from bench.incidents import Incident, Kind
from bench.wire import Change, Holdings
from purelb.election import ranking

VIP = "10.31.64.1"
FIRST, SECOND, THIRD = ranking(("a", "b", "c"), VIP)
NOTE = "purelb.io/announcing-IPv4"
FLOOD = Incident("arp-flood", "", 10.0, 20.0)
ANSWER = Incident("answer", "", 10.0, 90.0)


def seen(incidents: list[Incident], spans: dict[str, tuple[float, float]], **more: Any) -> Aftermath:
    """``spans``: by node, when it had the VIP."""
    held = Holdings(100.0, {(VIP, node): [span] for node, span in spans.items()})
    changes = [Change(end, node, "eth0", VIP, is_there=False) for node, (_, end) in spans.items() if end < 100.0]
    return replace(Aftermath(incidents, held, changes, ("a", "b", "c"), {"web": VIP}, told={"web": []}), **more)


RIGHT = seen([FLOOD], {FIRST: (0.0, 100.0)}, annotations={"web": {NOTE: f"{FIRST},eth0"}}, holders={VIP: [FIRST]})
WRONG: dict[Consequence, Aftermath] = {
    "moved": seen([FLOOD], {FIRST: (0.0, 12.0)}),
    "stranger untold": seen([ANSWER], {FIRST: (0.0, 100.0)}),
    "annotation wrong": replace(RIGHT, annotations={"web": {NOTE: f"{SECOND},eth0"}}),
    "newcomer unserved": replace(RIGHT, unserved=["a new Service has no address"]),
}


def found(told: Aftermath) -> list[str]:
    return [name for name, sentences in consequences(told).items() if sentences]


def test_none_is_missing_and_what_is_as_it_should_be_has_none() -> None:
    assert WRONG.keys() == set(CONSEQUENCES)
    assert found(RIGHT) == []


@pytest.mark.parametrize("name", CONSEQUENCES)
def test_each_is_told_by_its_name_alone(name: Consequence) -> None:
    assert found(WRONG[name]) == [name]


@pytest.mark.parametrize("name", CONSEQUENCES)
def test_chaos_is_not_right_where_one_came(name: Consequence, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(1, [], {}, [], {}, [], 0.0, consequences(WRONG[name]))

    assert not tell(outcome, 1, 60.0, 1)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if f"came of it: {name}" in line]
    assert '"holds": false' in line


@pytest.mark.parametrize("kind", sorted(STEADY))
def test_no_stranger_and_no_failing_api_server_moves_a_vip(kind: Kind) -> None:
    assert found(seen([Incident(kind, "", 10.0, 20.0)], {FIRST: (0.0, 12.0)})) == ["moved"]


@pytest.mark.parametrize(
    "cause",
    [
        Incident("power", FIRST, 5.0, 8.0),
        Incident("cordon", SECOND, 5.0, 8.0),
        Incident("stripped", "", 5.0, 6.0),
        Incident("key-deleted", "", 5.0, 6.0),
    ],
)
def test_what_befell_the_node_or_one_before_it_or_the_service_explains_a_move(cause: Incident) -> None:
    assert found(seen([cause, FLOOD], {SECOND: (0.0, 12.0)})) == []
    long_ago = replace(cause, begin=cause.begin - 2 * AFTERMATH, end=cause.end - 2 * AFTERMATH)
    assert found(seen([long_ago, FLOOD], {SECOND: (0.0, 12.0)})) == ["moved"]


def test_what_befell_one_that_stands_behind_explains_none() -> None:
    assert found(seen([Incident("power", THIRD, 9.0, 11.0), FLOOD], {SECOND: (0.0, 12.0)})) == ["moved"]


def test_only_who_had_the_vip_from_the_begin_on_can_lose_it() -> None:
    assert found(seen([FLOOD], {FIRST: (11.0, 12.0)})) == []
    assert found(seen([FLOOD], {FIRST: (0.0, 25.0)})) == []


def test_a_stranger_is_told_of_by_who_had_the_vip_for_long_and_was_well() -> None:
    untold = WRONG["stranger untold"]

    assert found(replace(untold, told={"web": [f"02:00:00:00:00:01 answers for {VIP} too"]})) == []
    assert found(seen([ANSWER], {FIRST: (0.0, 60.0), SECOND: (60.0, 100.0)})) == ["moved"]
    assert found(seen([ANSWER, Incident("deaf", FIRST, 60.0, 70.0)], {FIRST: (0.0, 100.0)})) == []
