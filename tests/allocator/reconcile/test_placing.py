"""From Services and nodes to the annotation, without an API server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allocator.reconcile.clusterobjects import Reading
from allocator.reconcile.endpointnews import EndpointNews
from allocator.reconcile.fleet import AgentRule, Fleet, Said
from allocator.reconcile.placing import BOOT, Placing
from purelb import names
from purelb.addresses import IPAddress, parse_network
from purelb.membership import MemberNode, Standing
from purelb.nodeagents import NodeAgentConfig
from purelb.ordering import Changed, ObjectKey
from purelb.placement import parse_placement
from purelb.preferences import Placement
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceView
from purelb.tempo import Tempo
from tests.allocator.builders import group, local, service

LAN = frozenset({parse_network("10.1.0.0/24")})
EVEN = group("default", local=local("10.1.0.0/24"), placement="even")


def says(placement: Placement | None) -> AgentRule:
    """What an LBNodeAgent says."""
    return AgentRule(True, NodeAgentConfig(placement=placement))


class Scene:
    """A cluster whose nodes are w0, w1 and so on, and whose Services are of one group."""

    def __init__(self, count: int = 3, *, rule: Placement | None = None, of: ServiceGroup = EVEN) -> None:
        self.fleet = Fleet()
        self.group: ServiceGroup | None = of
        self.endpoints = EndpointNews()
        self.placing = Placing(self.fleet, self.endpoints, Tempo(), self._group_of)
        self.now = 1000.0
        self._version = 0
        self.fleet.take_rules(Changed(ObjectKey("purelb", "default"), says(rule)))
        self.there(count)

    def _group_of(self, address: IPAddress, groups: Sequence[str]) -> ServiceGroup | None:
        return self.group

    def there(self, count: int, *, others: Iterable[str] = ()) -> None:
        """So many nodes serve."""
        nodes = {f"w{number}": MemberNode(f"w{number}", Standing.SERVING, "", LAN) for number in range(count)}
        nodes |= {name: MemberNode(name, Standing.SERVING, "", LAN, speaks=False) for name in others}
        for name in nodes:
            self.fleet.take_nodes(Changed(ObjectKey("", name), Reading(())))
        self._say(nodes)

    def ask(self, asked: str) -> None:
        """An operator wants all to be even now."""
        self._say(self.fleet.members or {}, asked)

    def _say(self, nodes: Mapping[str, MemberNode], asked: str = "") -> None:
        self._version += 1
        said = Said(str(self._version), nodes, asked)
        self.fleet.take_members(Changed(ObjectKey("purelb", "purelb"), said), self.now)

    def begin(self, *services: ServiceView) -> None:
        self.placing.begin(self.now)
        for one in services:
            self.placing.learn(one, one.ingress, one.allocated_from, self.now)
        self.placing.look(self.now)

    def text(self, one: ServiceView) -> str | None:
        self.placing.learn(one, one.ingress, ("default",), self.now)
        return self.placing.text(one, one.ingress, self.now)


def served(name: str, *addresses: str, plan: str = "", at: str = "", **more: Any) -> ServiceView:
    annotations = {names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "default", **more.pop("annotations", {})}
    if plan:
        annotations[names.PLACEMENT] = plan
    if at:
        annotations[names.ANNOUNCING_IPV4] = f"{at},eth0"
    return service(name, ingress=addresses, annotations=annotations, **more)


def nodes_of(text: str | None) -> list[tuple[str, ...]]:
    return list(parse_placement(text or "").values())


def test_a_served_service_stays_where_it_is_announced() -> None:
    scene = Scene()
    one = served("a", "10.1.0.1", at="w2")

    scene.begin(one)

    assert nodes_of(scene.text(one))[0][0] == "w2"


def test_a_plan_that_is_shown_already_is_kept() -> None:
    scene = Scene()
    one = served("a", "10.1.0.1", plan="10.1.0.1=w1,w0", at="w2")

    scene.begin(one)

    assert scene.text(one) == "10.1.0.1=w1,w0"


def test_without_a_word_the_hash_rule_decides_and_a_plan_is_taken_away() -> None:
    scene = Scene(of=group("default", local=local("10.1.0.0/24")), rule=None)
    one = served("a", "10.1.0.1", plan="10.1.0.1=w1,w0")

    scene.begin(one)

    assert scene.text(one) is None


def test_the_groups_word_wins_over_the_agents() -> None:
    one = served("a", "10.1.0.1")
    for rule, said, is_planned in (("even", None, True), ("even", "hash", False), ("hash", "even", True)):
        spec = {"local": local("10.1.0.0/24")} | ({"placement": said} if said else {})
        scene = Scene(of=group("default", **spec), rule=rule)  # type: ignore[arg-type]
        scene.begin(one)

        assert (scene.text(one) is not None) is is_planned


def test_when_the_rule_changes_everybody_is_looked_at() -> None:
    scene = Scene()
    scene.begin(served("a", "10.1.0.1"))
    assert scene.placing.look(scene.now) is not None

    scene.fleet.take_rules(Changed(ObjectKey("purelb", "default"), says("even")))

    assert scene.placing.look(scene.now) is None
    assert scene.placing.look(scene.now) == set()


def test_a_routed_address_has_no_plan() -> None:
    scene = Scene()
    scene.begin()
    scene.group = group("default", remote=local("10.1.0.0/24"), placement="even")
    assert scene.text(served("d", "10.1.0.4")) is None


def test_without_a_membership_what_is_shown_stays() -> None:
    scene = Scene()
    scene.fleet = Fleet()
    scene.placing = Placing(scene.fleet, scene.endpoints, Tempo(), scene._group_of)
    one = served("a", "10.1.0.1", plan="10.1.0.1=w9")

    scene.begin(one)

    assert scene.text(one) == "10.1.0.1=w9"
    assert scene.text(served("b", "10.1.0.2")) is None


def test_of_a_membership_that_nobody_renews_no_plan_is_made() -> None:
    scene = Scene()
    one = served("a", "10.1.0.1", plan="10.1.0.1=w1,w0")
    scene.begin(one)

    scene.now += 10_000.0
    scene.placing.look(scene.now)

    assert scene.text(one) == "10.1.0.1=w1,w0"
    assert scene.text(served("b", "10.1.0.2")) is None


def test_a_node_that_dies_changes_the_plans_of_whoever_it_was_in() -> None:
    scene = Scene(4)
    with_it = served("a", "10.1.0.1", plan="10.1.0.1=w3,w0")
    without = served("b", "10.1.0.2", plan="10.1.0.2=w1,w0")
    scene.begin(with_it, without)

    scene.there(3)

    assert scene.placing.look(scene.now) == {with_it.key}
    assert nodes_of(scene.text(with_it))[0][0] == "w0"
    assert scene.text(without) == "10.1.0.2=w1,w0"


def test_the_first_node_after_a_power_cut_is_not_given_everything() -> None:
    scene = Scene(1)
    one = served("a", "10.1.0.1", plan="10.1.0.1=w2,w1")

    scene.begin(one)
    assert scene.text(one) == "10.1.0.1=w2,w1"
    scene.there(3)
    scene.placing.look(scene.now)

    assert scene.text(one) == "10.1.0.1=w2,w1"


def test_but_an_owner_that_does_not_come_is_not_waited_for_for_long() -> None:
    scene = Scene(2)
    one = served("a", "10.1.0.1", plan="10.1.0.1=w2,w1")
    scene.begin(one)
    assert scene.placing.due(scene.now) == scene.now + BOOT

    scene.now += BOOT
    scene.placing.look(scene.now)

    assert nodes_of(scene.text(one))[0][0] == "w1"


def test_nor_is_a_minority_that_died_with_the_last_leader() -> None:
    scene = Scene(2)
    services = [served(f"s{number}", f"10.1.0.{number}", plan=f"10.1.0.{number}=w{number},w0") for number in range(3)]

    scene.begin(*services)

    assert nodes_of(scene.text(services[2]))[0][0] == "w0"


def test_one_that_begins_moves_nothing_that_is_well_for_as_long_as_a_lost_node_is_missed() -> None:
    scene = Scene()
    services = [served(f"s{number}", f"10.1.0.{number}", plan=f"10.1.0.{number}=w0,w1") for number in range(1, 10)]

    scene.begin(*services)
    end = scene.now + Tempo().give_up

    while (due := scene.placing.due(scene.now)) is not None and due < end:
        scene.now = due
        scene.placing.look(scene.now)
        assert {nodes_of(scene.text(one))[0][0] for one in services} == {"w0"}, "stand-ins alone are put right"
    assert due == end


def test_what_an_operator_asked_of_the_last_leader_does_not_hasten_the_next_one() -> None:
    scene = Scene()
    services = [served(f"s{number}", f"10.1.0.{number}", plan=f"10.1.0.{number}=w0,w1") for number in range(1, 10)]

    scene.ask("2026-11-29T12:00:00Z")
    scene.begin(*services)
    assert {nodes_of(scene.text(one))[0][0] for one in services} == {"w0"}

    scene.ask("2026-11-29T12:05:00Z")
    scene.now += Tempo().interval
    scene.placing.look(scene.now)
    assert {nodes_of(scene.text(one))[0][0] for one in services} > {"w0"}


def test_services_that_share_an_address_show_one_plan() -> None:
    scene = Scene()
    first = served("a", "10.1.0.1")
    second = served("b", "10.1.0.1", annotations={names.PREFERRED_NODES: "w2"})
    scene.begin(first, second)

    assert scene.text(first) == scene.text(second)
    assert nodes_of(scene.text(first))[0][0] in {"w0", "w1", "w2"}
    scene.placing.forget(first.key, scene.now)
    assert scene.text(second) is not None


def test_wishes_that_cannot_be_read_are_none() -> None:
    scene = Scene()
    scene.begin()

    assert scene.text(served("a", "10.1.0.1", annotations={names.PREFERRED_NODES: "W 1"})) is not None


def test_addresses_of_one_service_and_of_a_spread_group_are_on_different_nodes() -> None:
    scene = Scene()
    scene.begin()
    several = nodes_of(scene.text(served("a", "10.1.0.1", "10.1.0.2")))
    assert len({nodes[0] for nodes in several}) == 2

    spread = {names.SPREAD_GROUP: "dns"}
    texts = [scene.text(served(name, f"10.1.0.{20 + i}", annotations=spread)) for i, name in enumerate("xyz")]
    scene.now += 1000.0
    scene.there(3)
    while scene.placing.look(scene.now):
        scene.now += 10.0
    texts = [scene.text(served(name, f"10.1.0.{20 + i}", annotations=spread)) for i, name in enumerate("xyz")]
    assert len({nodes_of(text)[0][0] for text in texts}) == 3


def test_with_an_agent_that_knows_the_hash_rule_alone_no_plan_is_shown() -> None:
    scene = Scene()
    one = served("a", "10.1.0.1", plan="10.1.0.1=w1,w0")
    scene.begin(one)

    scene.there(3, others=["old"])
    scene.placing.look(scene.now)

    assert scene.text(one) is None


def test_as_long_as_the_membership_is_stale_nothing_is_due_but_its_return() -> None:
    scene = Scene()
    services = [served(f"s{number}", f"10.1.0.{number}", plan=f"10.1.0.{number}=w0,w1") for number in range(1, 10)]
    scene.begin(*services)

    scene.now += 10_000.0
    scene.placing.look(scene.now)
    assert scene.placing.due(scene.now) is None

    scene.there(3)
    assert scene.placing.look(scene.now) is None
    assert scene.placing.due(scene.now) is not None


def test_a_step_that_became_due_meanwhile_is_not_forgotten() -> None:
    scene = Scene()
    services = [served(f"s{number}", f"10.1.0.{number}", plan=f"10.1.0.{number}=w0,w1") for number in range(1, 10)]
    scene.begin(*services)

    scene.now += Tempo().give_up - 1.0
    scene.there(3)
    scene.placing.look(scene.now)
    scene.now += Tempo().interval + 2.0

    assert scene.placing.due(scene.now) == scene.now
