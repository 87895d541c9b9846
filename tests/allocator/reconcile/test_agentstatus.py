"""What an LBNodeAgent's status says: to how many nodes it applies, and to which; if to none, why."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pytest

from allocator.reconcile.agentstatus import statuses
from allocator.reconcile.fleet import AgentRule, read_rule
from purelb.ordering import ObjectKey
from tests.allocator.builders import EPOCH

NODES = {"w2": {"rack": "a"}, "w1": {"rack": "a"}, "w3": {"rack": "b"}}
LOCAL: dict[str, Any] = {"local": {"localInterface": "default"}}


def seen(status: Mapping[str, Any] | None = None, **specs: Mapping[str, Any]) -> dict[ObjectKey, AgentRule]:
    return {
        ObjectKey("purelb", name): read_rule(
            {
                "metadata": {"name": name, "namespace": "purelb", "uid": name, "generation": 2},
                "spec": spec,
                "status": status or {},
            }
        )
        for name, spec in specs.items()
    }


def rack(name: str) -> dict[str, Any]:
    return {**LOCAL, "nodeSelector": {"matchLabels": {"rack": name}}}


def told(rules: Mapping[ObjectKey, AgentRule]) -> dict[str, tuple[int, str, str]]:
    return {
        key.name: (status["nodes"], status["conditions"][0]["status"], status["conditions"][0]["reason"])
        for key, status in statuses(rules, NODES, EPOCH).items()
    }


def test_the_nodes_are_counted_where_it_applies_and_not_where_it_would() -> None:
    assert told(seen(everywhere=LOCAL, first=rack("a"))) == {
        "everywhere": (1, "True", "InUse"),
        "first": (2, "True", "InUse"),
    }


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        ({"one": rack("c")}, "NoNode"),
        ({"one": {}}, "NoLocalBlock"),
        ({"one": {"local": {"localInterface": "("}}}, "Refused"),
        ({"one": LOCAL, "another": LOCAL}, "NotChosen"),
    ],
)
def test_one_that_is_on_no_node_says_why(specs: dict[str, Any], reason: str) -> None:
    assert told(seen(**specs))["one"] == (0, "False", reason)


def test_what_is_said_already_is_not_written_again_and_keeps_its_time() -> None:
    (status,) = statuses(seen(one=LOCAL), NODES, EPOCH).values()
    later = EPOCH + datetime.timedelta(hours=1)

    assert statuses(seen(status, one=LOCAL), NODES, later) == {}
    (changed,) = statuses(seen(status, one=rack("a")), NODES, later).values()
    assert (changed["nodes"], changed["conditions"][0]["lastTransitionTime"]) == (
        2,
        status["conditions"][0]["lastTransitionTime"],
    )


def message(nodes: Mapping[str, Mapping[str, str]]) -> str:
    (status,) = statuses(seen(one=LOCAL), nodes, EPOCH).values()
    return str(status["conditions"][0]["message"])


def test_the_nodes_are_named() -> None:
    assert message(NODES) == "it applies to 3 of 3 nodes: w1, w2, w3"


def test_of_many_nodes_the_first_are_named_and_the_others_counted() -> None:
    many = {f"w{number:03}": NODES["w1"] for number in reversed(range(1000))}

    told = message(many)

    assert told.startswith("it applies to 1000 of 1000 nodes: w000, w001, ")
    assert told.endswith(", w009 and 990 more")


def test_another_node_in_the_place_of_one_is_told_and_the_time_stays() -> None:
    (status,) = statuses(seen(one=rack("a")), NODES, EPOCH).values()
    others = {"w4": NODES["w1"], "w2": NODES["w2"], "w3": NODES["w3"]}

    (changed,) = statuses(seen(status, one=rack("a")), others, EPOCH + datetime.timedelta(hours=1)).values()

    assert changed["conditions"][0]["message"] == "it applies to 2 of 3 nodes: w2, w4"
    assert changed["conditions"][0]["lastTransitionTime"] == status["conditions"][0]["lastTransitionTime"]
