"""What an LBNodeAgent's status says: on how many nodes it applies, and if on none, why."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pytest

from allocator.reconcile.agentstatus import statuses
from allocator.reconcile.fleet import AgentRule, read_rule
from purelb.ordering import ObjectKey
from tests.allocator.builders import EPOCH

NODES = [{"rack": "a"}, {"rack": "a"}, {"rack": "b"}]
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
