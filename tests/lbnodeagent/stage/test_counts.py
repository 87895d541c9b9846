"""What agents count of the election, as PureLB v0.17's users know it."""

from __future__ import annotations

from collections import Counter

from tests.lbnodeagent.stage.topology import VIP4
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


def counts(world: World) -> dict[str, Counter[str]]:
    return {name: Counter(node.agent.counted) for name, node in world.nodes.items() if node.agent is not None}
