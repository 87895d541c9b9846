"""The laws are strong enough: they find each of these faults, planted into the agent one line at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from lbnodeagent.dataplane import planner
from lbnodeagent.dataplane.core import Core
from lbnodeagent.dataplane.state import State
from lbnodeagent.dataplane.sweeps import Sweeps
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.handover import Handover
from lbnodeagent.gate.gate import Gate
from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel import order
from lbnodeagent.kernel.holdings import Holdings
from lbnodeagent.kernel.present import Present
from lbnodeagent.wire import conflicts
from lbnodeagent.wire.neighbours import Neighbours
from purelb.planned import PlannedElection
from tests.lbnodeagent.stage.faults import Fault, Step
from tests.lbnodeagent.stage.histories import History, history, planned_history, play

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
"""Replaces a line of the agent by a wrong one."""
MOST = 60
"""Histories within which a fault is found, of those in which what it is about happens."""


def never(*_: Any, **__: Any) -> Any:
    """What isn't done any more."""


def takes_at_once(patch: pytest.MonkeyPatch) -> None:
    """Who starts doesn't look for its peers first."""
    patch.setattr(Candidacy, "_is_settled", lambda *_: True)


def lets_go_at_once(patch: pytest.MonkeyPatch) -> None:
    """No VIP stays until its new owner has it."""
    patch.setattr(Handover, "lose", never)


def answers_before_it_tells_its_neighbours(patch: pytest.MonkeyPatch) -> None:
    outputs = Core.outputs
    patch.setattr(Core, "outputs", lambda self: outputs(self)[::-1])


def tells_no_neighbour(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Neighbours, "announce_placed", never)


def tells_nobody_of_strangers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Neighbours, "rival", never)


def removes_in_any_order(patch: pytest.MonkeyPatch) -> None:
    """An address that the node's own hangs on goes without a setting by which that stays."""
    patch.setattr(order, "to_promote_on", lambda _: frozenset())


def takes_everything_for_its_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Holdings, "claims", lambda *_: True)


def notes_nothing(patch: pytest.MonkeyPatch) -> None:
    """The ledger is always empty."""
    patch.setattr(Holdings, "entries", ())


def never_renews(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_is_due", lambda *_: False)


def renews_as_it_did_before_it_was_configured_otherwise(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sweeps, "lifetime_is", never)


def forgets_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("lbnodeagent.dataplane.status.RETRY", (1e9,))


def adds_what_is_read_to_what_it_knew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Present, "drop_address", never)


def elects_no_excluded_node(patch: pytest.MonkeyPatch) -> None:
    """Not even where there is no other."""
    candidates = Members.candidates
    patch.setattr(
        Members,
        "candidates",
        lambda self: {name: one for name, one in candidates(self).items() if not one.rank},
    )


def tells_of_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conflicts, "HOSTS", 1000)
    patch.setattr(conflicts, "PATIENCE", 0.0)


def looks_at_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "looked", lambda *_: None)
    patch.setattr(Gate, "begin", lambda _: None)


def reads_no_plans(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PlannedElection, "_set_plan", never)


def waits_for_no_plan_to_be_heard(patch: pytest.MonkeyPatch) -> None:
    lose = Handover.lose
    patch.setattr(Handover, "lose", lambda *args, **_: lose(*args, understands=False))


def routes_though_it_is_excluded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(State, "is_spared", lambda *_: False)


@dataclass(frozen=True, slots=True)
class Some:
    """Histories of any faults among these."""

    among: Sequence[Fault]

    def __call__(self, seed: int) -> History:
        return history(seed, self.among)


@dataclass(frozen=True, slots=True)
class Planned:
    """Planned moves."""

    among: Sequence[Fault] = ()

    def __call__(self, seed: int) -> History:
        return planned_history(seed, self.among)


def deleted_meanwhile(seed: int) -> History:
    """While no agent runs the Service of a permanent address goes."""
    permanent = Step(0.0, 0.0, "edit the configuration", "n1", number=2, stays=True)
    kills = tuple(Step(2.0, 5.0, "kill", f"n{number}") for number in (1, 2))
    deleted = Step(3.0, 0.0, "delete a Service", "n1", number=1, stays=True)
    return History(seed, 2, 0.0, (permanent, *kills, deleted))


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (takes_at_once, Planned(["stop"])),
        (lets_go_at_once, Planned(["stop"])),
        (answers_before_it_tells_its_neighbours, Planned()),
        (tells_no_neighbour, Planned()),
        (tells_nobody_of_strangers, Some(["stranger"])),
        (tells_of_everybody, Some(["flood of claims"])),
        (removes_in_any_order, Some(["renew the node's own"])),
        (takes_everything_for_its_own, Some(["kill"])),
        (notes_nothing, deleted_meanwhile),
        (never_renews, Some(["overrun"])),
        (renews_as_it_did_before_it_was_configured_otherwise, Some(["edit the configuration"])),
        (forgets_what_was_refused, Some(["refuse"])),
        (adds_what_is_read_to_what_it_knew, Some(["overrun", "wipe VIPs"])),
        (elects_no_excluded_node, Some(["cordon", "exclude"])),
        (looks_at_nothing, Some(["kube-proxy"])),
        (reads_no_plans, Some(["plan"])),
        (waits_for_no_plan_to_be_heard, Planned(["plan, heard late"])),
        (routes_though_it_is_excluded, Some(["cordon", "exclude"])),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_the_stage_finds_an_agent_that(
    plant: Plant, told: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    assert any(play(told(seed)) for seed in range(MOST)), "no law is broken; a plant that crashes is none"
