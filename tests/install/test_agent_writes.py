"""The policy that ties an agent's writes to its node, rule by rule. The API double knows no such policies."""

from __future__ import annotations

from typing import Any

import celpy
import pytest

from kubedouble.celfunctions import FUNCTIONS
from kubedouble.celrunner import Runner
from tests.install.agent_writes import BEFORE, CASES, NODE, Change, after, policy

ACCOUNT = "system:serviceaccount:purelb:lbnodeagent"


class Rules:
    """The policy's expressions, evaluated as an API server does: variables first, each seeing those before it."""

    def __init__(self, name: str = "purelb-agent-writes") -> None:
        self._spec = next(one for one in policy() if one["metadata"]["name"] == name)["spec"]
        self._environment = celpy.Environment(runner_class=Runner)

    def _value(self, expression: str, known: dict[str, Any]) -> Any:
        tree = self._environment.compile(expression)
        return self._environment.program(tree, functions=dict(FUNCTIONS)).evaluate(known)

    def allow(self, user: dict[str, Any], old: dict[str, Any], new: dict[str, Any], name: str = "web") -> bool:
        defaults: dict[str, Any] = {"status": {"loadBalancer": {}}}
        known = {
            "request": celpy.json_to_cel({"userInfo": user, "name": name}),
            "oldObject": celpy.json_to_cel(old | defaults),
            "object": celpy.json_to_cel(new | defaults),
        }
        if not all(self._value(one["expression"], known) for one in self._spec["matchConditions"]):
            return True
        variables: dict[str, Any] = {}
        for one in self._spec.get("variables", ()):
            known["variables"] = celpy.celtypes.MapType(variables)
            variables[celpy.celtypes.StringType(one["name"])] = self._value(one["expression"], known)
        known["variables"] = celpy.celtypes.MapType(variables)
        return all(self._value(one["expression"], known) for one in self._spec["validations"])


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules()


@CASES
def test_the_rules_let_an_agent_speak_for_its_own_node_alone(rules: Rules, change: Change, allowed: bool) -> None:
    user = {"username": ACCOUNT, "extra": {"authentication.kubernetes.io/node-name": [NODE]}}

    assert rules.allow(user, BEFORE, after(change)) is allowed


@CASES
def test_they_are_nobody_elses_rules(rules: Rules, change: Change, allowed: bool) -> None:
    assert rules.allow({"username": "system:admin", "extra": {}}, BEFORE, after(change))


def test_a_token_that_names_no_node_may_write_to_none(rules: Rules) -> None:
    assert not rules.allow({"username": ACCOUNT, "extra": {}}, BEFORE, BEFORE)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (f"purelb-node-{NODE}", True),
        (f"purelb-node-{NODE}0", False),
        ("purelb-node-w12", False),
        ("purelb-allocator", False),
    ],
)
def test_the_rules_let_an_agent_write_the_lease_of_its_own_node_alone(name: str, allowed: bool) -> None:
    rules = Rules("purelb-agent-leases")
    user = {"username": ACCOUNT, "extra": {"authentication.kubernetes.io/node-name": [NODE]}}

    assert rules.allow(user, {}, {}, name) is allowed
    assert rules.allow({"username": "system:serviceaccount:purelb:allocator", "extra": {}}, {}, {}, name)
    assert not rules.allow({"username": ACCOUNT, "extra": {}}, {}, {}, name)
