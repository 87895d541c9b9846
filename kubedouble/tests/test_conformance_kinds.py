"""What we rely on in a Kubernetes API server: custom resources, events and pods.

They run on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`.
"""

from __future__ import annotations

from typing import Any

import pytest

from kubedouble.testing.clusters import Api
from objects import pod, pool, pool_definition

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


class TestCustomResources:
    def path(self, namespace: str, version: str = "v1") -> str:
        return f"/apis/example.org/{version}/namespaces/{namespace}/pools"

    def test_defaults_and_pruning(self, api: Api, namespace: str, pools: str) -> None:
        made = api.post(self.path(namespace), pool("a", nonsense=1, extra={"any": {"thing": True}})).ok()

        assert made["spec"] == {"subnet": "10.1.0.0/24", "size": 5, "extra": {"any": {"thing": True}}}

    def test_unknown_fields_are_refused_when_strict(self, api: Api, namespace: str, pools: str) -> None:
        refused = api.post(self.path(namespace), pool("a", nonsense=1), fieldValidation="Strict")

        assert refused.refused(400) == (
            'Pool in version "v1" cannot be handled as a Pool: strict decoding error: unknown field "spec.nonsense"'
        )

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
            ({"size": 101}, "spec.size: Invalid value: 101: spec.size in body should be less than or equal to 100"),
            ({"size": "big"},
             'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
            ({"mode": "odd"}, 'spec.mode: Unsupported value: "odd": supported values: "local", "remote"'),
            ({"code": "A1"}, "spec.code: Invalid value: \"A1\": spec.code in body should match '^[a-z]+$'"),
            ({"code": "toolong"}, "spec.code: Too long: may not be more than 4 bytes"),
            ({"steps": [{"weight": 1}]}, "spec.steps[0].name: Required value"),
            ({"steps": [{"name": "a"}] * 2}, 'spec.steps[1]: Duplicate value: {"name":"a"}'),
            ({"subnet": "everywhere"}, "must be a subnet"),
            ({"first": "10.2.0.1"}, "first must be in the subnet"),
        ],
    )  # fmt: skip
    def test_what_the_schema_refuses(
        self, api: Api, namespace: str, pools: str, spec: dict[str, Any], sentence: str
    ) -> None:
        message = api.post(self.path(namespace), pool("a", **spec)).refused(422)

        assert message.startswith('Pool.example.org "a" is invalid: ')
        assert sentence in message

    def test_a_transition_rule_compares_with_before(self, api: Api, namespace: str, pools: str) -> None:
        api.post(self.path(namespace), pool("a", fixed="one")).ok()

        message = api.merge(f"{self.path(namespace)}/a", {"spec": {"fixed": "two"}}).refused(422)

        assert "spec.fixed: Invalid value" in message
        assert "can not be changed" in message
        assert api.merge(f"{self.path(namespace)}/a", {"spec": {"size": 7}}).ok()["spec"]["fixed"] == "one"

    def test_status_is_apart(self, api: Api, namespace: str, pools: str) -> None:
        body = {**pool("a"), "status": {"used": 3}}
        made = api.post(self.path(namespace), body).ok()
        assert "status" not in made

        written = api.merge(f"{self.path(namespace)}/a/status", {"spec": {"size": 9}, "status": {"used": 4}}).ok()

        assert written["status"] == {"used": 4}
        assert written["spec"]["size"] == 5
        assert written["metadata"]["generation"] == 1
        assert api.merge(f"{self.path(namespace)}/a", {"spec": {"size": 9}}).ok()["metadata"]["generation"] == 2

    def test_every_version_shows_the_same_object(self, api: Api, namespace: str, pools: str) -> None:
        made = api.post(self.path(namespace, "v2"), pool("a", "v2")).ok()
        assert made["apiVersion"] == "example.org/v2"

        other = api.get(f"{self.path(namespace)}/a").ok()

        assert other["apiVersion"] == "example.org/v1"
        assert other["metadata"]["uid"] == made["metadata"]["uid"]

    def test_an_update_must_say_what_it_was_decided_on(self, api: Api, namespace: str, pools: str) -> None:
        api.post(self.path(namespace), pool("a")).ok()

        message = api.put(f"{self.path(namespace)}/a", pool("a")).refused(422)

        assert "metadata.resourceVersion: Invalid value" in message
        assert "must be specified for an update" in message

    def test_printer_columns(self, api: Api, namespace: str, pools: str) -> None:
        api.post(self.path(namespace), pool("a")).ok()

        table = api.call("GET", self.path(namespace), accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()

        columns = [(column["name"], column["priority"]) for column in table["columnDefinitions"]]
        assert columns == [("Name", 0), ("Subnet", 0), ("Used", 0), ("Mode", 1), ("Age", 0)]
        assert table["rows"][0]["cells"][:4] == ["a", "10.1.0.0/24", None, None]

    def test_a_definition_that_can_not_be_is_refused(self, api: Api, pools: str) -> None:
        wrong = pool_definition("other.example.org")
        wrong["metadata"]["name"] = "something.else.org"

        message = api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", wrong).refused(422)

        assert 'must be spec.names.plural+"."+spec.group' in message


class TestEvents:
    def body(self, namespace: str) -> dict[str, Any]:
        return {
            "metadata": {"name": "a.1"},
            "involvedObject": {"kind": "Service", "name": "a", "namespace": namespace, "uid": "u"},
            "reason": "AddressAssigned",
            "message": "Assigned 10.31.188.64",
            "type": "Normal",
            "source": {"component": "purelb-allocator"},
            "count": 2,
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:01:00Z",
        }

    def test_both_groups_show_one_event(self, api: Api, namespace: str) -> None:
        api.post(f"/api/v1/namespaces/{namespace}/events", self.body(namespace)).ok()

        other = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/a.1").ok()

        assert other["regarding"]["name"] == "a"
        assert other["note"] == "Assigned 10.31.188.64"
        assert other["deprecatedCount"] == 2
        assert other["deprecatedSource"] == {"component": "purelb-allocator"}

    def test_events_are_found_by_their_object(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/events"
        api.post(path, self.body(namespace)).ok()

        def count(selector: str) -> int:
            return len(api.get(path, fieldSelector=selector).ok()["items"])

        assert count(f"involvedObject.kind=Service,involvedObject.name=a,involvedObject.namespace={namespace}") == 1
        assert count("involvedObject.name=b") == 0
        assert count("reason=AddressAssigned,type=Normal") == 1

    def test_an_event_belongs_to_its_objects_namespace(self, api: Api, namespace: str) -> None:
        body = self.body("another")

        message = api.post(f"/api/v1/namespaces/{namespace}/events", body).refused(422)

        assert 'involvedObject.namespace: Invalid value: "another": does not match event.namespace' in message


class TestPods:
    def test_a_pod_on_a_node_waits_for_its_kubelet(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        api.post(path, pod("a", node="some-node")).ok()

        dying = api.delete(f"{path}/a").ok()
        assert dying["metadata"]["deletionGracePeriodSeconds"] == 30
        assert api.get(f"{path}/a").ok()["metadata"]["deletionTimestamp"]
        api.delete(f"{path}/a", {"gracePeriodSeconds": 0}).ok()

        assert api.get(f"{path}/a").status == 404

    def test_a_pod_nobody_runs_goes_at_once(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        api.post(path, pod("a")).ok()

        api.delete(f"{path}/a").ok()

        assert api.get(f"{path}/a").status == 404

    def test_binding_puts_a_pod_on_a_node(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        api.post(path, pod("a")).ok()

        api.post(f"{path}/a/binding", {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}).ok()

        assert api.get(f"{path}/a").ok()["spec"]["nodeName"] == "n"

    def test_a_disruption_budget_holds_an_eviction(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        api.post(path, pod("a", node="n")).ok()
        api.merge(
            f"{path}/a/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        ).ok()
        budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}}
        made = api.post(budgets, budget).ok()
        status = {
            "disruptionsAllowed": 0,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "expectedPods": 1,
            "observedGeneration": made["metadata"]["generation"],
        }
        api.merge(f"{budgets}/b/status", {"status": status}).ok()
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": namespace}}

        refused = api.post(f"{path}/a/eviction", eviction)
        api.merge(f"{budgets}/b/status", {"status": {"disruptionsAllowed": 1}}).ok()
        allowed = api.post(f"{path}/a/eviction", eviction)

        assert refused.refused(429) == "Cannot evict pod as it would violate the pod's disruption budget."
        assert allowed.status == 201
        assert api.get(f"{path}/a").ok()["metadata"]["deletionTimestamp"]
