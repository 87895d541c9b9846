"""What agents count of the election, as PureLB v0.17's users know it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from lbnodeagent.dataplane.takeovers import Takeover
from purelb.election import ranking
from tests.lbnodeagent.stage.topology import VIP4, one_subnet
from tests.lbnodeagent.stage.world import World


def test_a_new_address_is_won_by_one_node_and_lost_by_the_others_and_later_only_changes_count() -> None:
    world = World(seed=3, size=3)
    world.begin()
    world.run(8.0)
    before = counts(world)

    world.api.want(VIP4)
    world.run(8.0)
    after = counts(world)
    world.run(70.0)

    assert sorted(list((after[name] - before[name]).items()) for name in world.nodes) == [
        [("election_losses", 1)],
        [("election_losses", 1)],
        [("election_wins", 1)],
    ]
    assert counts(world) == after


@pytest.mark.parametrize(("end", "cause"), [(World.cut_power, "died"), (World.stop_agent, "left")])
def test_each_takeover_is_counted_with_its_cause_and_the_time_from_noticing_to_the_address_being_here(
    end: Callable[[World, str], None], cause: str
) -> None:
    world = World(1, 3, is_planned=True, of=one_subnet(3))
    world.begin()
    owner, heir, _ = ranking(tuple(world.nodes), VIP4)
    world.run(6.0)
    world.api.want(VIP4)
    world.run(6.0)

    end(world, owner)
    world.run(10.0)

    assert world.holders(VIP4) == {heir}
    (over,) = takeovers(world, heir)
    assert over.cause == cause
    assert 0 <= over.seconds < 1


def test_the_first_node_of_a_new_address_counts_it_as_new() -> None:
    world = World(1, 3, of=one_subnet(3))
    world.begin()
    world.run(6.0)

    world.api.want(VIP4)
    world.run(6.0)

    (holder,) = world.holders(VIP4)
    assert [over.cause for over in takeovers(world, holder)] == ["new"]


def takeovers(world: World, name: str) -> list[Takeover]:
    agent = world.nodes[name].agent
    assert agent is not None
    return agent.takeovers


def counts(world: World) -> dict[str, Counter[str]]:
    return {name: Counter(node.agent.counted) for name, node in world.nodes.items() if node.agent is not None}
