"""What the agent keeps of the Services that it hears of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from lbnodeagent.kubernetes.servicefeed import Consequences, ServiceFeed, parse_group, parse_service
from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.ordering import Changed, Deleted, ObjectKey, Replaced
from purelb.services import ServiceKey

KEY = ServiceKey("test", "web")
VIP = ip_address("10.31.188.64")


def body(version: int, ip: str = str(VIP), **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "test",
            "name": "web",
            "uid": "u1",
            "resourceVersion": str(version),
            "annotations": {"purelb.io/allocated-by": "PureLB", **annotations},
        },
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
    }


class Scene:
    """A feed, and what follows from what it hears."""

    def __init__(self) -> None:
        self.wanted = WantedTable()
        self.feed = ServiceFeed(self.wanted)

    def sees(self, service: dict[str, Any]) -> Consequences:
        item = parse_service(service)
        news = Deleted(ObjectKey("test", "web"), "u1") if item is None else Changed(ObjectKey("test", "web"), item)
        return self.feed.services(news)

    def lists(self, *services: dict[str, Any]) -> Consequences:
        views = [view for service in services if (view := parse_service(service)) is not None]
        return self.feed.services(Replaced({ObjectKey(*view.key): view for view in views}, "1", 0))


def test_others_annotations_are_not_kept() -> None:
    scene = Scene()
    scene.sees(body(1, **{"kubectl.kubernetes.io/last-applied-configuration": "{}" * 1000}))

    kept = scene.wanted.service(KEY)

    assert kept is not None
    assert kept.annotations == {"purelb.io/allocated-by": "PureLB"}


def test_what_is_known_already_is_no_news() -> None:
    scene = Scene()

    first, second, third = scene.sees(body(7)), scene.sees(body(7)), scene.lists(body(7))

    assert [*first.vips] == [VIP]
    assert len(first.changed) == 1
    assert second == third == Consequences()


def test_a_list_replaces_whatever_was_known_also_where_history_went_back() -> None:
    scene = Scene()
    scene.sees(body(10, ip="10.31.188.65"))

    then = scene.lists(body(3))

    assert {str(vip): wanted is not None for vip, wanted in then.vips.items()} == {
        "10.31.188.65": False,
        "10.31.188.64": True,
    }


def test_what_a_list_has_not_is_gone() -> None:
    scene = Scene()
    scene.sees(body(10))

    then = scene.lists()

    assert then.vips == {VIP: None}
    assert then.gone == [KEY]


def test_a_service_without_anything_of_ours_is_none_to_an_agent() -> None:
    plain = body(1)
    plain["metadata"]["annotations"] = {}

    assert parse_service(plain) is None


def test_a_group_that_cannot_be_read_is_none() -> None:
    assert parse_group({"metadata": {"name": "a", "namespace": "purelb"}, "spec": {"local": {"v4pool": {}}}}) is None


def test_which_nodes_may_announce_a_groups_addresses_is_of_its_status_where_it_has_a_selector() -> None:
    def announcers(selector: object, status: object) -> frozenset[str] | None:
        pool = {"subnet": "192.168.1.0/24", "pool": "192.168.1.64-192.168.1.99", "aggregation": "/32"}
        spec = {"local": {"v4pool": pool}, "nodeSelector": selector}
        group = parse_group({"metadata": {"name": "a", "namespace": "purelb"}, "spec": spec, "status": status})
        assert group is not None
        return group.announcers

    rack = {"matchLabels": {"rack": "a"}}
    assert announcers(rack, {"nodes": ["w11", "w12"]}) == frozenset({"w11", "w12"})
    assert announcers(rack, {"nodes": []}) == frozenset()
    assert announcers(rack, {}) is None
    assert announcers(rack, None) is None
    assert announcers(None, {"nodes": ["w11"]}) is None
