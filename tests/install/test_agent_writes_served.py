"""The policy that ties an agent's writes to its node, in the API server that `KUBEBUILDER_ASSETS` names."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Real
from tests.install.agent_writes import BEFORE, CASES, NODE, Change, label, policy

SERVICES = "/api/v1/namespaces/default/services"
PLURALS: dict[str, str] = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


@dataclass(frozen=True, slots=True)
class Served:
    admin: Api
    agent: Api


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server with the policy, and an agent's token that is bound to a pod of the node."""
    programs = assets()
    assert programs is not None
    running = Real(programs)
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
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "patch", "delete"]}
    admin.post(f"{rights}/clusterroles", {"metadata": {"name": "agent"}, "rules": [rule, leases]}).ok()
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


def test_it_lets_an_agent_write_the_lease_of_its_node_and_not_the_one_of_the_allocators(served: Served) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/purelb/leases"
    served.admin.post(leases, {"metadata": {"name": "purelb-allocator"}, "spec": {"holderIdentity": "a"}}).ok()
    name = f"purelb-node-{NODE}"
    own = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}

    for holder in (NODE, "anybody"):
        served.agent.apply(f"{leases}/{name}", own | {"spec": {"holderIdentity": holder}}, "agent").ok()
    served.agent.delete(f"{leases}/{name}").ok()

    taken = {"spec": {"holderIdentity": "b"}}
    assert "its own node alone" in served.agent.merge(f"{leases}/purelb-allocator", taken).refused(422)
    assert "its own node alone" in served.agent.delete(f"{leases}/purelb-allocator").refused(422)
