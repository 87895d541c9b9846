"""What we rely on in a Kubernetes API server: objects and patches.

They run on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from kubedouble.testing.clusters import Api
from objects import config_map, deployment, pool, service

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


class TestObjects:
    def test_a_created_object_has_uid_time_and_version(self, api: Api, namespace: str) -> None:
        made = api.post(MAPS.format(namespace), config_map("a", x="1")).ok()

        meta = made["metadata"]
        assert made["kind"] == "ConfigMap"
        assert len(meta["uid"]) == 36
        assert meta["creationTimestamp"].endswith("Z")
        assert int(meta["resourceVersion"]) > 0
        assert api.get(f"{MAPS.format(namespace)}/a").ok() == made

    def test_a_name_is_taken_once(self, api: Api, namespace: str) -> None:
        api.post(MAPS.format(namespace), config_map("a")).ok()

        assert api.post(MAPS.format(namespace), config_map("a")).refused(409) == 'configmaps "a" already exists'

    def test_generate_name_adds_five_characters(self, api: Api, namespace: str) -> None:
        body = {"metadata": {"generateName": "some-"}}

        name = api.post(MAPS.format(namespace), body).ok()["metadata"]["name"]

        assert name.startswith("some-")
        assert len(name) == 10

    def test_what_is_not_there_is_404(self, api: Api, namespace: str) -> None:
        assert api.get(f"{MAPS.format(namespace)}/a").refused(404) == 'configmaps "a" not found'
        assert api.get("/api/v1/nonsense").status == 404
        refusal = api.post(MAPS.format("nowhere"), config_map("a")).refused(404)
        assert refusal == 'namespaces "nowhere" not found'

    def test_a_bad_name_is_refused(self, api: Api, namespace: str) -> None:
        message = api.post(MAPS.format(namespace), config_map("Big_Name")).refused(422)

        assert message.startswith(
            'ConfigMap "Big_Name" is invalid: metadata.name: Invalid value: "Big_Name": a lowercase'
        )

    def test_a_stale_update_is_a_conflict(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        first = api.post(path, config_map("a", x="1")).ok()
        api.merge(f"{path}/a", {"data": {"x": "2"}}).ok()

        message = api.put(f"{path}/a", first).refused(409)

        assert message == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your'
            " changes to the latest version and try again"
        )

    def test_a_patch_with_a_stale_version_is_a_conflict(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        version = api.post(path, config_map("a", x="1")).ok()["metadata"]["resourceVersion"]
        api.merge(f"{path}/a", {"data": {"x": "2"}}).ok()

        refused = api.merge(f"{path}/a", {"metadata": {"resourceVersion": version}, "data": {"x": "3"}})

        assert refused.status == 409
        assert refused.body["reason"] == "Conflict"

    def test_a_write_that_changes_nothing_keeps_the_version(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        made = api.post(path, config_map("a", x="1")).ok()

        again = api.put(f"{path}/a", made).ok()

        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    def test_dry_run_leaves_no_trace(self, api: Api, namespace: str) -> None:
        made = api.post(MAPS.format(namespace), config_map("a"), dryRun="All").ok()

        assert made["metadata"]["uid"]
        assert api.get(f"{MAPS.format(namespace)}/a").status == 404

    def test_an_unknown_field_is_refused_when_strict_and_warned_of_otherwise(self, api: Api, namespace: str) -> None:
        body = {**config_map("a"), "colour": "red"}

        strict = api.post(MAPS.format(namespace), body, fieldValidation="Strict")
        warned = api.post(MAPS.format(namespace), body)

        assert strict.refused(400) == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "colour"'
        )
        assert "colour" not in warned.ok()
        assert warned.headers["Warning"] == '299 - "unknown field \\"colour\\""'

    def test_a_wrong_type_is_a_bad_request(self, api: Api, namespace: str) -> None:
        body = service("a", ports=[{"port": "eighty"}])

        assert "cannot unmarshal string into Go struct field" in api.post(SERVICES.format(namespace), body).refused(400)

    def test_finalizers_hold_a_deletion(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        body = config_map("a")
        body["metadata"]["finalizers"] = ["example.org/hold"]
        api.post(path, body).ok()

        held = api.delete(f"{path}/a").ok()
        assert held["metadata"]["deletionTimestamp"]
        api.merge(f"{path}/a", {"metadata": {"finalizers": None}}).ok()

        assert api.get(f"{path}/a").status == 404

    def test_deletion_respects_preconditions(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        api.post(path, config_map("a")).ok()

        refused = api.delete(f"{path}/a", {"preconditions": {"uid": "another"}})

        assert refused.refused(409).startswith(
            'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (another) does not match'
        )
        assert api.delete(f"{path}/a").ok()["status"] == "Success"

    def test_a_collection_is_deleted_by_selector(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        for name, colour in (("a", "red"), ("b", "blue")):
            body = config_map(name)
            body["metadata"]["labels"] = {"colour": colour}
            api.post(path, body).ok()

        api.delete(path, labelSelector="colour=red").ok()

        left = [item["metadata"]["name"] for item in api.get(path).ok()["items"]]
        assert [name for name in left if name in ("a", "b")] == ["b"]

    def test_generation_counts_changes_of_the_spec_only(self, api: Api, namespace: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        assert api.post(path, deployment("a")).ok()["metadata"]["generation"] == 1

        labelled = api.merge(f"{path}/a", {"metadata": {"labels": {"x": "y"}}}).ok()
        scaled = api.merge(f"{path}/a", {"spec": {"replicas": 3}}).ok()

        assert labelled["metadata"]["generation"] == 1
        assert scaled["metadata"]["generation"] == 2

    @pytest.mark.parametrize(
        ("path", "body", "code", "sentence"),
        [
            ("/api/v1/namespaces/{}/configmaps", {"metadata": {"finalizers": ["hold"]}}, 422,
             "metadata.finalizers[0]: Invalid value: \"hold\": name is neither a standard finalizer name nor"),
            ("/api/v1/namespaces/{}/configmaps", {"data": {"a key": "x"}}, 422,
             "data[a key]: Invalid value: \"a key\": a valid config key must consist of"),
            ("/api/v1/namespaces/{}/secrets", {"data": {"a": "!!"}}, 400, "illegal base64 data at input byte 0"),
            ("/apis/coordination.k8s.io/v1/namespaces/{}/leases", {"spec": {"renewTime": "2026-01-01T00:00:00Z"}}, 400,
             'cannot parse "Z" as ".000000"'),
            ("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
             {"addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}]}, 422,
             'endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address'),
        ],
    )  # fmt: skip
    def test_small_kinds_are_checked(
        self, api: Api, namespace: str, path: str, body: dict[str, Any], code: int, sentence: str
    ) -> None:
        body = {**body, "metadata": {"name": "a", **body.get("metadata", {})}}

        assert sentence in api.post(path.format(namespace), body).refused(code)

    def test_a_node_begins_as_not_ready(self, api: Api, namespace: str) -> None:
        made = api.post("/api/v1/nodes", {"metadata": {"name": f"node-{namespace}"}}).ok()

        assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
        api.delete(f"/api/v1/nodes/node-{namespace}").ok()

    def test_a_secret_takes_plain_text(self, api: Api, namespace: str) -> None:
        body = {"metadata": {"name": "a"}, "stringData": {"key": "value"}}

        made = api.post(f"/api/v1/namespaces/{namespace}/secrets", body).ok()

        assert made["data"] == {"key": "dmFsdWU="}
        assert made["type"] == "Opaque"
        assert "stringData" not in made

    def test_the_scale_of_a_deployment(self, api: Api, namespace: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        api.post(path, deployment("a")).ok()

        scale = api.merge(f"{path}/a/scale", {"spec": {"replicas": 4}}).ok()

        assert scale["kind"] == "Scale"
        assert scale["status"]["selector"] == "app=a"
        assert api.get(f"{path}/a").ok()["spec"]["replicas"] == 4


class TestPatches:
    def test_json_patch(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        api.post(path, config_map("a", x="1")).ok()

        patched = api.json_patch(
            f"{path}/a",
            [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "add", "path": "/data/y", "value": "2"}],
        ).ok()

        assert patched["data"] == {"x": "1", "y": "2"}
        assert api.json_patch(f"{path}/a", [{"op": "remove", "path": "/data/z"}]).status == 422
        assert api.json_patch(f"{path}/a", [{"op": "test", "path": "/data/x", "value": "9"}]).status == 422

    def test_strategic_merge_goes_by_the_key_of_a_list(self, api: Api, namespace: str) -> None:
        ports = [{"name": "a", "port": 80}, {"name": "b", "port": 443}]
        api.post(SERVICES.format(namespace), service("a", ports=ports)).ok()

        patched = api.strategic(
            f"{SERVICES.format(namespace)}/a",
            {"spec": {"ports": [{"port": 443, "targetPort": 8443}, {"port": 80, "$patch": "delete"}]}},
        ).ok()

        assert [(port["name"], port["targetPort"]) for port in patched["spec"]["ports"]] == [("b", 8443)]

    def test_strategic_merge_is_not_for_custom_resources(self, api: Api, namespace: str, pools: str) -> None:
        path = f"/apis/{pools}/v1/namespaces/{namespace}/pools"
        api.post(path, pool("a")).ok()

        assert api.strategic(f"{path}/a", {"spec": {"size": 2}}).status == 415

    def test_server_side_apply_names_the_owner_of_a_disputed_field(self, api: Api, namespace: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/a"
        api.apply(path, deployment("a", replicas=2), "first").ok()

        refused = api.apply(path, deployment("a", replicas=3), "second")

        assert refused.refused(409) == 'Apply failed with 1 conflict: conflict with "first": .spec.replicas'
        assert refused.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
        assert api.apply(path, deployment("a", replicas=3), "second", force="true").ok()["spec"]["replicas"] == 3

    def test_server_side_apply_removes_what_its_manager_no_longer_wants(self, api: Api, namespace: str) -> None:
        path = f"{MAPS.format(namespace)}/a"
        api.apply(path, config_map("a", x="1", y="2"), "one").ok()
        api.merge(path, {"data": {"z": "3"}}).ok()

        applied = api.apply(path, config_map("a", x="1"), "one").ok()

        assert applied["data"] == {"x": "1", "z": "3"}

    def test_the_time_of_an_apply_is_that_of_the_last_one_that_changed_something(
        self, api: Api, namespace: str
    ) -> None:
        path = f"{MAPS.format(namespace)}/a"
        first = api.apply(path, config_map("a", x="0"), "one").ok()["metadata"]["managedFields"]
        last = first
        for number in range(1, 200):
            time.sleep(0.05)  # times are in whole seconds
            last = api.apply(path, config_map("a", x=str(number)), "one").ok()["metadata"]["managedFields"]
            if last[0]["time"] > first[0]["time"]:
                break

        assert last[0]["time"] > first[0]["time"]
        assert last[0]["fieldsV1"] == first[0]["fieldsV1"]

    def test_server_side_apply_twice_is_one_change(self, api: Api, namespace: str) -> None:
        path = f"{MAPS.format(namespace)}/a"
        first = api.apply(path, config_map("a", x="1"), "one").ok()

        second = api.apply(path, config_map("a", x="1"), "one").ok()

        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
