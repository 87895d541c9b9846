"""`kubectl purelb events`: where addresses went and who else had them, in its order."""

from __future__ import annotations

import datetime
from typing import Any

from clusters import NOW, Json, event
from kubectl_purelb.commands.events import events
from kubectl_purelb.happenings import view_events
from purelb.services import ServiceKey

VIP = "10.31.188.64"


def placed(node: str, age: float, **more: Any) -> Json:
    message = f"Node {node} announcing {VIP} on interface eth0"
    return event("AnnouncingLocal", message, age=age, warns=False, **more)


def told(*bodies: Json, since: float | None = None, service: str | None = None) -> list[Any]:
    key = ServiceKey("default", service) if service is not None else None
    answer = events(view_events(bodies), key, None if since is None else NOW - datetime.timedelta(seconds=since))
    assert answer.is_well
    return list(answer.document)


def test_an_address_that_comes_to_another_node_has_moved() -> None:
    first, second = told(placed("w12", 10), placed("w11", 60))

    assert (first["what"], first["from"], first["to"], first["told"]) == (
        "Announced",
        None,
        "w11",
        f"{VIP}: w11 (eth0)",
    )
    assert (second["what"], second["from"], second["to"]) == ("Moved", "w11", "w12")
    assert second["told"] == f"{VIP}: w11 → w12 (eth0)"
    assert second["time"] == "2026-11-29T11:59:50+00:00"


def test_one_that_came_back_has_moved_twice_though_its_event_is_one_that_is_counted() -> None:
    first = (NOW - datetime.timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = told(placed("w11", 10, count=2, firstTimestamp=first), placed("w12", 50))

    assert [(one["from"], one["to"]) for one in found] == [(None, "w11"), ("w11", "w12"), ("w12", "w11")]


def test_where_it_was_before_an_hour_ago_is_known_from_who_took_it() -> None:
    taken = event("AnnounceSlotSteal", f"Node w12 took announcement of {VIP} from node w11", age=9, warns=False)
    long_ago = event("AnnounceSlotSteal", f"Node w12 took announcement of {VIP} from node w9", age=999, warns=False)
    (moved,) = told(placed("w12", 10), taken, long_ago)

    assert (moved["what"], moved["from"]) == ("Moved", "w11")


def test_conflicts_and_warnings_stand_between_the_moves() -> None:
    conflict = event("AddressConflict", f"Another host, 02:00:00:00:00:01, answers for {VIP}", age=30, count=7)
    node = event("NotServing", "its kube-proxy doesn't answer", about="w11", kind="Node", age=20)
    found = told(placed("w12", 10), node, conflict, placed("w11", 60))

    assert [(one["what"], one["about"], one["times"]) for one in found] == [
        ("Announced", "default/web", 1),
        ("Conflict", "default/web", 7),
        ("Warning", "Node w11", 1),
        ("Moved", "default/web", 1),
    ]


def test_what_is_older_counts_only_for_where_an_address_was() -> None:
    (moved,) = told(placed("w12", 10), placed("w11", 600), since=60)

    assert (moved["from"], moved["to"]) == ("w11", "w12")


def test_of_one_service_alone_what_is_about_it() -> None:
    bodies = placed("w11", 10), placed("w12", 5, about="db")

    assert [one["about"] for one in told(*bodies, service="web")] == ["default/web"]
    assert [one["what"] for one in told(*bodies)] == ["Announced", "Announced"]


def test_what_others_say_is_not_told() -> None:
    assert told(event("AddressConflict", "x", by="somebody"), placed("w11", 5, by="kubelet")) == []
