"""Where VIPs are planned whose endpoints decide who may have them (policy Local), or should (node-affinity)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from allocator.reconcile.placing import PORTION
from purelb import names
from purelb.addresses import parse_address
from purelb.endpoints import EndpointNodes, EndpointSlice
from purelb.ordering import Changed, ObjectKey, Replaced
from purelb.planned import PlannedElection
from purelb.services import ServiceKey, ServiceView
from tests.allocator.reconcile.test_placing import LAN, Scene, nodes_of, served

AFFINITY = {names.NODE_AFFINITY: "service-endpoints"}


def a_slice(name: str, *nodes: str) -> Changed[EndpointSlice]:
    """The endpoints of a Service are on these nodes."""
    one = EndpointSlice(name, ServiceKey("default", name), EndpointNodes(frozenset(nodes), frozenset()))
    return Changed(ObjectKey("default", name), one)


class Followed(Scene):
    """A cluster whose endpoints are known."""

    def __init__(self, count: int = 3, **endpoints: tuple[str, ...]) -> None:
        super().__init__(count)
        slices = [a_slice(name, *nodes) for name, nodes in endpoints.items()]
        self.endpoints.take(Replaced({one.key: one.item for one in slices}, "1", 0))

    def move(self, name: str, *nodes: str) -> set[ServiceKey]:
        """A Service's endpoints are there now; whose plans are others."""
        self.now += 1.0
        self.endpoints.take(a_slice(name, *nodes))
        return self.placing.look(self.now) or set()

    def settle(self) -> None:
        for _ in range(100):
            self.now += 10.0
            self.there(len(self.fleet.serving()))
            self.placing.look(self.now)


def local_service(name: str, *addresses: str, **more: Any) -> ServiceView:
    return served(name, *addresses, externalTrafficPolicy="Local", **more)


def test_with_policy_local_owner_and_stand_in_are_nodes_with_endpoints() -> None:
    scene = Followed(5, a=("w3", "w1"))
    one = local_service("a", "10.1.0.1")

    scene.begin(one)

    assert set(nodes_of(scene.text(one))[0]) == {"w1", "w3"}


def test_before_endpoints_are_known_what_is_shown_stays() -> None:
    scene = Scene()
    one, other = local_service("a", "10.1.0.1", plan="10.1.0.1=w1,w0"), local_service("b", "10.1.0.2")
    assert not scene.placing.needs_endpoints

    scene.begin(one, other)

    assert scene.placing.needs_endpoints, "nobody follows EndpointSlices where no Service asks for it"
    assert (scene.text(one), scene.text(other)) == ("10.1.0.1=w1,w0", None)
    scene.endpoints.take(Replaced({one.key: a_slice("a", "w2").item for one in [a_slice("a")]}, "1", 0))
    assert scene.placing.look(scene.now) == {one.key}
    assert scene.text(one) == "10.1.0.1=w2"
    assert scene.text(other) is None, "it has none"


def test_vips_of_new_services_are_even_over_the_nodes_with_endpoints() -> None:
    names_ = [f"s{number}" for number in range(12)]
    scene = Followed(5, **dict.fromkeys(names_, ("w0", "w1", "w2")))
    services = [local_service(name, f"10.1.0.{number}") for number, name in enumerate(names_, 1)]

    scene.begin(*services)

    plans = [nodes_of(scene.text(one))[0] for one in services]
    assert Counter(owner for owner, _ in plans) == {"w0": 4, "w1": 4, "w2": 4}
    for dead in ("w0", "w1", "w2"):
        after = Counter(next(name for name in plan if name != dead) for plan in plans)
        assert max(after.values()) - min(after.values()) <= 1


def test_those_that_are_there_already_become_even_in_steps() -> None:
    names_ = [f"s{number}" for number in range(6)]
    scene = Followed(3, **dict.fromkeys(names_, ("w0", "w1", "w2")))
    services = [local_service(name, f"10.1.0.{number}", at="w0") for number, name in enumerate(names_, 1)]

    scene.begin(*services)
    assert {nodes_of(scene.text(one))[0][0] for one in services} == {"w0"}
    scene.settle()

    assert Counter(nodes_of(scene.text(one))[0][0] for one in services) == {"w0": 2, "w1": 2, "w2": 2}


def test_when_the_owner_has_no_endpoint_any_more_its_stand_in_follows_and_stays() -> None:
    scene = Followed(4, a=("w0", "w1", "w2"))
    one = local_service("a", "10.1.0.1", plan="10.1.0.1=w0,w1")
    scene.begin(one)

    assert scene.move("a", "w1", "w2") == {one.key}
    assert nodes_of(scene.text(one)) == [("w1", "w2")]

    assert scene.move("a", "w0", "w1", "w2") == set()
    assert nodes_of(scene.text(one)) == [("w1", "w2")], "a pod that comes back moves nothing"


def test_endpoints_that_come_and_go_elsewhere_change_no_plan() -> None:
    scene = Followed(5, a=("w0", "w1", "w2"))
    one = local_service("a", "10.1.0.1", plan="10.1.0.1=w0,w1")
    scene.begin(one)

    assert scene.move("a", "w0", "w1") == set()
    assert scene.move("a", "w0", "w1", "w3", "w4") == set()


def test_when_all_pods_are_elsewhere_the_plan_is_what_agents_have_elected_already() -> None:
    scene = Followed(6, a=("w0", "w1"))
    one, vip = local_service("a", "10.1.0.1", plan="10.1.0.1=w0,w1"), parse_address("10.1.0.1")
    scene.begin(one)
    agents = PlannedElection()
    for number in range(6):
        agents.set_candidate(f"w{number}", LAN)
    agents.set_vip(vip, only=frozenset({"w3", "w4", "w5"}), plan=("w0", "w1"))

    scene.move("a", "w3", "w4", "w5")

    assert nodes_of(scene.text(one))[0][0] == agents.owner(vip)


def test_without_any_endpoint_the_plan_stays_as_it_is() -> None:
    scene = Followed(3, a=("w0", "w1"))
    one = local_service("a", "10.1.0.1", plan="10.1.0.1=w0,w1")
    scene.begin(one)

    assert scene.move("a") == set()
    assert scene.text(one) == "10.1.0.1=w0,w1"


def test_with_node_affinity_nodes_with_endpoints_come_first_and_others_when_there_is_none() -> None:
    scene = Followed(3, a=("w2",))
    one = served("a", "10.1.0.1", annotations=AFFINITY, plan="10.1.0.1=w0,w1")
    scene.begin(one)
    assert nodes_of(scene.text(one))[0][0] == "w2"

    scene.move("a")
    assert nodes_of(scene.text(one))[0][0] == "w2", "it is as good as any other then, and stays"

    scene.move("a", "w1")
    assert nodes_of(scene.text(one))[0][0] == "w1"


def test_services_that_share_an_address_rather_have_it_where_all_with_policy_local_have_endpoints() -> None:
    scene = Followed(4, a=("w0", "w1"), b=("w1", "w2"), c=("w3",))
    sharers = [local_service("a", "10.1.0.1"), local_service("b", "10.1.0.1"), served("c", "10.1.0.1")]

    scene.begin(*sharers)

    (text,) = {scene.text(one) for one in sharers}
    owner, *stand_ins = nodes_of(text)[0]
    assert owner == "w1"
    assert stand_ins, "with policy Cluster any node is right"


def test_policy_local_without_endpoints_takes_an_address_from_nobody_who_shares_it() -> None:
    scene = Followed(3)
    sharers = [served("victim", "10.1.0.1"), local_service("a", "10.1.0.1")]

    scene.begin(*sharers)

    assert len(nodes_of(scene.text(sharers[0]))[0]) == 2


def test_a_service_that_becomes_cluster_may_be_anywhere() -> None:
    scene = Followed(3, a=("w2",))
    scene.begin(local_service("a", "10.1.0.1"))

    one = served("a", "10.1.0.1")

    assert nodes_of(scene.text(one))[0][0] == "w2", "it stays"
    assert len(nodes_of(scene.text(one))[0]) == 2
    assert not scene.placing.needs_endpoints


def test_nobody_follows_endpoints_for_services_that_are_not_placed_until_they_are() -> None:
    scene = Followed(3, a=("w1", "w2"))
    placed, scene.group = scene.group, None
    one = local_service("a", "10.1.0.1")
    scene.begin(one)
    assert not scene.placing.needs_endpoints

    scene.group = placed
    assert set(nodes_of(scene.text(one))[0]) == {"w1", "w2"}
    assert scene.placing.needs_endpoints

    scene.group = None
    assert scene.text(one) is None
    assert not scene.placing.needs_endpoints


def test_the_endpoints_of_thousands_of_services_are_read_in_portions() -> None:
    scene = Scene(3)
    services = [local_service(f"s{number:04}", f"10.1.0.{number % 250}") for number in range(2 * PORTION + 1)]
    scene.begin(*services)
    scene.endpoints.take(Replaced({one.key: one.item for one in (a_slice(s.key.name, "w1") for s in services)}, "1", 0))

    looks = 0
    while scene.placing.due(scene.now) == scene.now or not looks:
        scene.placing.look(scene.now)
        looks += 1

    assert looks == 3
    assert {scene.text(one) for one in services[:250]} == {f"10.1.0.{number}=w1" for number in range(250)}
