"""The policy that ties an agent's writes to its node: its rules by themselves, and in an API server where there is one.

The API double knows no ValidatingAdmissionPolicy; `KUBEBUILDER_ASSETS` names a server that does.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import celpy
import pytest

from kubedouble.celfunctions import FUNCTIONS
from kubedouble.celrunner import Runner
from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Real
from tests.install.agent_writes import BEFORE, NODE, WRITES, Change, after, label, policy

ACCOUNT = "system:serviceaccount:purelb:lbnodeagent"
CASES = pytest.mark.parametrize(("change", "allowed"), [one[1:] for one in WRITES], ids=[one[0] for one in WRITES])
SERVERS = [path] if (path := assets()) is not None else []


class Rules:
    """The policy's expressions, evaluated as an API server does: variables first, each seeing those before it."""

    def __init__(self) -> None:
        self._spec = policy()[0]["spec"]
        self._environment = celpy.Environment(runner_class=Runner)

    def _value(self, expression: str, known: dict[str, Any]) -> Any:
        tree = self._environment.compile(expression)
        return self._environment.program(tree, functions=dict(FUNCTIONS)).evaluate(known)

    def allow(self, user: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> bool:
        defaults: dict[str, Any] = {"status": {"loadBalancer": {}}}
        known = {
            "request": celpy.json_to_cel({"userInfo": user}),
            "oldObject": celpy.json_to_cel(old | defaults),
            "object": celpy.json_to_cel(new | defaults),
        }
        if not all(self._value(one["expression"], known) for one in self._spec["matchConditions"]):
            return True
        variables: dict[str, Any] = {}
        for one in self._spec["variables"]:
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


# --- in an API server ------------------------------------------------------------------------------------------------

SERVICES = "/api/v1/namespaces/default/services"
PLURALS: dict[str, str] = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


@dataclass(frozen=True, slots=True)
class Served:
    admin: Api
    agent: Api


@pytest.fixture(scope="module", params=SERVERS, ids=["envtest"] * len(SERVERS))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server with the policy, and an agent's token that is bound to a pod of the node."""
    running = Real(request.param)
    admin = running.api
    admin.post("/api/v1/namespaces", {"metadata": {"name": "purelb"}}).ok()
    admin.post("/api/v1/nodes", {"metadata": {"name": NODE}}).ok()
    admin.post("/api/v1/namespaces/purelb/serviceaccounts", {"metadata": {"name": "lbnodeagent"}}).ok()
    pod = {
        "metadata": {"name": "agent"},
        "spec": {
            "serviceAccountName": "lbnodeagent",
            "nodeName": NODE,
            "containers": [{"name": "agent", "image": "agent"}],
        },
    }
    uid = admin.post("/api/v1/namespaces/purelb/pods", pod).ok()["metadata"]["uid"]
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "agent", "uid": uid}
    asked = {"spec": {"boundObjectRef": bound}}
    token = admin.post("/api/v1/namespaces/purelb/serviceaccounts/lbnodeagent/token", asked).ok()["status"]["token"]
    rights = "/apis/rbac.authorization.k8s.io/v1"
    resources = ["services", "services/status"]  # more than it is given: RBAC alone would refuse the rest
    rule = {"apiGroups": [""], "resources": resources, "verbs": ["get", "update", "patch"]}
    admin.post(f"{rights}/clusterroles", {"metadata": {"name": "agent"}, "rules": [rule]}).ok()
    binding = {
        "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "agent"},
        "subjects": [{"kind": "ServiceAccount", "name": "lbnodeagent", "namespace": "purelb"}],
    }
    admin.post(f"{rights}/clusterrolebindings", binding).ok()
    for body in policy():
        admin.post(f"/apis/{body['apiVersion']}/{PLURALS[body['kind']]}", body).ok()
    agent = admin.as_user(token)
    probe = admin.post(SERVICES, BEFORE).ok()
    label(probe)
    deadline = time.monotonic() + 30
    while agent.put(f"{SERVICES}/web", probe, dryRun="All").status == 200 and time.monotonic() < deadline:
        time.sleep(0.1)  # a policy is at work some time after it was made
    yield Served(admin, agent)
    running.stop()


@CASES
def test_an_api_server_lets_through_what_the_rules_do(served: Served, change: Change, allowed: bool) -> None:
    made = served.admin.post(SERVICES, BEFORE | {"metadata": BEFORE["metadata"] | {"name": f"web-{uuid.uuid4()}"}}).ok()
    change(made)

    answer = served.agent.put(f"{SERVICES}/{made['metadata']['name']}", made)

    assert (answer.status == 200) is allowed, answer.body
    if not allowed:
        assert "purelb-agent-writes" in answer.body["message"]


def test_nor_does_it_let_a_status_through(served: Served) -> None:
    name = f"web-{uuid.uuid4()}"
    made = served.admin.post(SERVICES, BEFORE | {"metadata": BEFORE["metadata"] | {"name": name}}).ok()
    path = f"{SERVICES}/{name}/status"

    own = {"metadata": {"annotations": {"purelb.io/announcing-IPv6": f"{NODE},eth0"}}}
    assert served.agent.merge(path, own).ok()["spec"] == made["spec"]
    others = {"metadata": {"annotations": {"purelb.io/announcing-IPv6": "w13,eth0"}}}
    assert "by its own node alone" in served.agent.merge(path, others).refused(422)
    addresses = {"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.1"}]}}}
    assert "neither spec nor status" in served.agent.merge(path, addresses).refused(422)
