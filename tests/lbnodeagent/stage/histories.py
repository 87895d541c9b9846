"""Random histories of a cluster, each made by its seed, played, and on failure made as short as it still fails."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.lbnodeagent.stage.faults import CONFIGURATIONS, FAULTS, PLANNABLE, Fault, Step, acts
from tests.lbnodeagent.stage.world import World

BEGIN: Final = 5.0
"""Seconds after which a cluster that starts has all its VIPs."""
REST: Final = 32.0
"""Seconds until all is quiet: an address that nobody renews lives 20, a hand-over 3, a refused action waits 10."""
LOOK: Final = 4.0
"""Seconds between two looks at a cluster that comes to rest."""
MOVES: Final[tuple[Fault, ...]] = (
    "stop",
    "replace",
    "replace",
    "exclude",
    "cordon",
    "edit the configuration",
    "not ready",
    "kube-proxy",
    "plan",
    "plan",
    "plan, heard late",
)
MOVES_OF_ENDPOINTS: Final[tuple[Fault, ...]] = ("move endpoints", "exclude", "cordon", "replace")


@dataclass(frozen=True, slots=True)
class History:
    """What happens to a cluster."""

    seed: int
    size: int
    loss: float
    steps: tuple[Step, ...]
    is_planned: bool = False
    """Whether there is always somebody to move to: nobody may be without an answer then."""
    has_endpoints: bool = False
    """Whether its Services have endpoints that matter, on one node at a time."""

    def __str__(self) -> str:
        kind = "planned moves, " if self.is_planned else ""
        steps = "".join(
            f"\n  {step.at:6.2f} s: {step.fault} ({step.number}), {step.node}, "
            f"{'for good' if step.stays else f'{step.lasts:.2f} s'}"
            for step in sorted(self.steps, key=lambda step: step.at)
        )
        return f"SEED={self.seed}: {kind}{self.size} nodes, {self.loss:.0%} of packets lost{steps}"


def history(seed: int, among: Sequence[Fault] = FAULTS) -> History:
    """The history of a seed: a few faults of any kind, at moments that overlap."""
    chance = random.Random(seed)
    size = chance.choice((2, 3, 3, 4))
    steps = tuple(
        Step(
            at=chance.uniform(0.0, 8.0),
            lasts=chance.choice((0.05, 0.5, 0.5, 2.0, 2.0, 5.0, 25.0)) * chance.uniform(0.5, 1.5),
            fault=chance.choice(among),
            node=f"n{chance.randint(1, size)}",
            number=chance.randrange(60),
            stays=chance.random() < 0.1,
        )
        for _ in range(chance.randint(1, 5))
    )
    return History(seed, size, chance.choice((0.0, 0.0, 0.02, 0.1)), steps)


def planned_history(seed: int, among: Sequence[Fault] = ()) -> History:
    """One of planned moves only, one after the other, so that there is always somebody to move to."""
    chance = random.Random(seed)
    size = chance.choice((2, 3, 4))
    has_endpoints = chance.random() < 0.4
    steps, at = [], 0.0
    for _ in range(chance.randint(1, 3)):
        lasts = chance.uniform(0.3, 12.0)
        fault = chance.choice(among or (MOVES_OF_ENDPOINTS if has_endpoints else MOVES))
        number = chance.randrange(12) * len(CONFIGURATIONS) + chance.randrange(len(PLANNABLE))
        steps.append(Step(at, lasts, fault, f"n{chance.randint(1, size)}", number))
        at += lasts + chance.uniform(8.0, 12.0)
    return History(seed, size, 0.0, tuple(steps), is_planned=True, has_endpoints=has_endpoints)


def play(told: History) -> list[str]:
    """The laws that it breaks."""
    world = World(told.seed, told.size, told.loss, is_planned=told.is_planned)
    for vip in world.topology.vips:
        if told.has_endpoints:
            world.api.endpoints(vip, frozenset({"n1"}))
            world.api.want(vip, policy="Local")
        else:
            world.api.want(vip)
    world.begin()
    world.run(BEGIN)
    world.laws.guard(world.topology.vips, world.now)
    start = world.now
    end = start
    for step in told.steps:
        begin, undo = acts(world, step)
        world.simulation.after(start + step.at - world.now, begin)
        end = max(end, start + step.at)
        if not step.stays or step.fault == "freeze":  # which ends by itself
            world.simulation.after(start + step.at + step.lasts - world.now, undo)
            end = max(end, start + step.at + step.lasts)
    world.run(end - start)
    return rested(world, is_short=world.chance.random() < 0.75)


def rested(world: World, *, is_short: bool) -> list[str]:
    """The laws that are broken at rest; ``is_short``: it need not be waited longer than until none is, twice."""
    end, quiet = max(world.now + REST, world.last_expiry + LOOK), 0
    while world.now < end:
        world.run(LOOK)
        quiet = 0 if world.laws.at_rest() else quiet + 1
        if is_short and quiet > 1:
            return []
    return world.laws.at_rest()


def shortened(told: History) -> History:
    """With as few faults as still break a law."""
    for step in told.steps:
        fewer = replace(told, steps=tuple(other for other in told.steps if other is not step))
        if fails(fewer):
            return shortened(fewer)
    return told


def fails(told: History) -> list[str]:
    """Why a history isn't as it must be; an exception is a reason too."""
    try:
        return play(told)
    except Exception as error:  # a history may end in any way; each is to be told with its seed
        return [f"{type(error).__name__}: {error}"]
