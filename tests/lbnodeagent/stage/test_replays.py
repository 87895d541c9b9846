"""A recording of what agents said to each other, sent again by somebody without the key."""

from __future__ import annotations

from tests.lbnodeagent.stage.world import World, vips


def test_a_recorded_hand_over_that_is_sent_again_moves_nothing() -> None:
    world = World(seed=7, size=3)
    world.want(*vips(8))
    world.begin()
    world.run(8.0)
    before = {vip: world.holders(vip) for vip in world.wanted}
    leaver = next(iter(before[vips(1)[0]]))
    world.stop_agent(leaver)
    world.run(6.0)
    world.start_again(leaver)
    world.run(12.0)
    assert world.overheard
    assert {vip: world.holders(vip) for vip in world.wanted} == before

    world.replay(next(name for name in world.nodes if name != leaver))
    for _ in range(20):
        world.run(0.25)
        assert {vip: world.holders(vip) for vip in world.wanted} == before
