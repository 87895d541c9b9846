"""A recording of what agents said to each other, sent again by somebody without the key."""

from __future__ import annotations

from tests.lbnodeagent.stage.topology import VIP4
from tests.lbnodeagent.stage.world import World


def test_a_recorded_hand_over_that_is_sent_again_moves_nothing() -> None:
    world = World(seed=7, size=3)
    vips = world.topology.vips
    for vip in vips:
        world.api.want(vip)
    world.begin()
    world.run(8.0)
    before = {vip: world.holders(vip) for vip in vips}
    leaver = next(iter(before[VIP4]))
    world.stop_agent(leaver)
    world.run(6.0)
    world.start_again(leaver)
    world.run(12.0)
    assert world.overheard
    assert {vip: world.holders(vip) for vip in vips} == before

    world.replay(next(name for name in world.nodes if name != leaver))
    for _ in range(20):
        world.run(0.25)
        assert {vip: world.holders(vip) for vip in vips} == before
