"""Who is there, as one agent of a whole cluster tells it."""

from __future__ import annotations

from lbnodeagent.dataplane.rollcall import HOLD
from purelb.membership import Attendance, Standing
from tests.lbnodeagent.stage.test_constitution import reasons
from tests.lbnodeagent.stage.topology import VIP4, one_subnet
from tests.lbnodeagent.stage.world import World

VERDICT = 15.0
"""Seconds after which a dead node is known to be so."""


def cluster(size: int = 4) -> World:
    world = World(1, size, of=one_subnet(size, has_second_nics=False))
    world.api.configure("default", {"localInterface": "default"})
    world.begin()
    world.run(8.0)
    return world


def told(world: World) -> dict[str, Attendance]:
    """The last word of each agent that runs, of those that speak for all."""
    last = {
        name: [report for report in node.agent.reports if isinstance(report, Attendance)][-1:]
        for name, node in world.nodes.items()
        if node.agent is not None
    }
    words = {name: reports[0] for name, reports in last.items() if reports}
    return {name: word for name, word in words.items() if word.nodes and not word.is_standin}


def standings(world: World) -> tuple[str, dict[str, Standing]]:
    """Who speaks, and what it says of each."""
    ((speaker, attendance),) = told(world).items()
    return speaker, {node.name: node.standing for node in attendance.nodes}


def test_one_of_all_agents_tells_who_is_there() -> None:
    world = cluster()

    assert standings(world) == ("n1", dict.fromkeys(("n1", "n2", "n3", "n4"), Standing.SERVING))


def test_it_tells_how_many_vips_each_owns() -> None:
    world = cluster()
    world.api.want(VIP4)
    world.run(5.0)

    (attendance,) = told(world).values()
    owner = next(iter(world.holders(VIP4)))
    assert {node.name: node.vips for node in attendance.nodes if node.vips} == {owner: 1}
    assert (attendance.vips, attendance.nowhere) == (1, 0)


def test_a_cordon_and_its_end_are_told() -> None:
    world = cluster()
    world.api.node("n3", is_cordoned=True)
    world.run(5.0)
    assert standings(world)[1]["n3"] is Standing.EXCLUDED

    world.api.node("n3", is_cordoned=False)
    world.run(5.0)
    assert standings(world)[1]["n3"] is Standing.SERVING


def test_a_node_that_is_behind_the_api_is_told_of_and_moves_nothing() -> None:
    world = cluster()
    world.api.want(VIP4)
    world.run(5.0)
    before = world.holders(VIP4)
    agent = world.nodes["n3"].agent
    assert agent is not None

    for is_behind in (True, False):
        agent.behind(is_behind=is_behind)
        world.run(5.0)

        (attendance,) = told(world).values()
        assert [node.name for node in attendance.nodes if node.is_behind] == ["n3"] * is_behind
        assert {node.standing for node in attendance.nodes} == {Standing.SERVING}
        assert world.holders(VIP4) == before


def test_what_each_node_weighs_is_told() -> None:
    world = cluster()
    world.api.configure("default", {"localInterface": "default", "weight": 3})
    world.run(5.0)

    (attendance,) = told(world).values()
    assert {node.weight for node in attendance.nodes} == {3}


def test_a_node_that_dies_is_gone_from_it_at_once_and_comes_back() -> None:
    world = cluster()
    world.cut_power("n3")
    world.run(VERDICT + HOLD)
    assert "n3" not in standings(world)[1]

    world.restore_power("n3")
    world.run(20.0)
    assert standings(world)[1]["n3"] is Standing.SERVING


def test_when_the_spokesman_dies_the_next_one_speaks() -> None:
    world = cluster()
    world.cut_power("n1")
    world.run(VERDICT + HOLD)

    assert standings(world) == ("n2", dict.fromkeys(("n2", "n3", "n4"), Standing.SERVING))


def test_a_spokesman_that_is_stopped_says_nothing_more_and_is_gone() -> None:
    world = cluster()
    world.stop_agent("n1")
    world.run(10.0)

    assert standings(world)[0] == "n2"
    assert "n1" not in standings(world)[1]


def test_a_cluster_that_is_at_rest_says_nothing_more() -> None:
    world = cluster()
    before = sum(isinstance(report, Attendance) for node in world.nodes.values() for report in _reports(node.agent))
    world.run(120.0)

    after = sum(isinstance(report, Attendance) for node in world.nodes.values() for report in _reports(node.agent))
    assert after == before


def _reports(agent: object) -> list[object]:
    return list(getattr(agent, "reports", ()))


def test_a_vip_that_nobody_has_is_counted_and_told_with_what_keeps_each_node_from_it() -> None:
    world = cluster(3)
    world.api.want(VIP4)
    world.run(5.0)
    for name in ("n1", "n2", "n3"):
        world.unplug(name)
    world.run(30.0)

    assert [attendance.nowhere for attendance in told(world).values()] == [1] * len(told(world))
    assert any("n1: no cable on 10.31.0.0/16" in reason for reason in reasons(world))


def test_the_next_in_line_knows_the_same_and_one_alone_has_none() -> None:
    world = cluster(3)
    (first,) = told(world).values()
    words = [
        report
        for node in world.nodes.values()
        for report in _reports(node.agent)
        if isinstance(report, Attendance) and report.is_standin
    ]

    assert words
    assert words[-1].nodes == first.nodes


def test_an_agent_that_is_replaced_is_told_of_as_one_that_starts_and_has_its_vips_all_the_while() -> None:
    world = cluster()
    world.api.want(VIP4)
    world.run(5.0)
    (owner,) = world.holders(VIP4)
    world.replace_agent(owner)
    seen = []
    for _ in range(8):
        world.run(1.0)
        seen += [node for one in told(world).values() for node in one.nodes if node.name == owner]
    assert len(seen) == 8
    assert {node.vips for node in seen} == {1}
    assert seen[-1].standing is Standing.STARTING

    world.start_again(owner)
    world.run(10.0)
    assert standings(world)[1][owner] is Standing.SERVING
