"""What we rely on in a Kubernetes API server. Runs on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from kubedouble.testing.clusters import Api, Embedded, Real
from objects import config_map, deployment, pod, pool, pool_definition, service

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


def eventually(check: Callable[[], Any], within: float = 5.0) -> Any:
    """The first true result of `check`; a real server establishes CRDs and tokens a little later."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def pools(cluster: Embedded | Real) -> str:
    """The CRD of `objects.pool_definition`, established; gives the group."""
    api = cluster.api
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.post(path, pool_definition()).ok()

    def established() -> bool:
        status = api.get(f"{path}/pools.example.org").ok()["status"]
        served = api.get("/apis/example.org/v1/namespaces/default/pools").status == 200
        return served and any(c["type"] == "Established" and c["status"] == "True" for c in status["conditions"] or ())

    eventually(established)
    return "example.org"


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

    def test_server_side_apply_twice_is_one_change(self, api: Api, namespace: str) -> None:
        path = f"{MAPS.format(namespace)}/a"
        first = api.apply(path, config_map("a", x="1"), "one").ok()

        second = api.apply(path, config_map("a", x="1"), "one").ok()

        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


class TestReading:
    def test_selectors(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        for name in ("a", "b", "c"):
            body = config_map(name)
            body["metadata"]["labels"] = {"name": name, "test": "yes"}
            api.post(path, body).ok()

        def names(**query: str) -> list[str]:
            return [item["metadata"]["name"] for item in api.get(path, **query).ok()["items"]]

        assert names(labelSelector="name in (a,b)") == ["a", "b"]
        assert names(labelSelector="test,name notin (a, b)") == ["c"]
        assert names(labelSelector="name!=a,test=yes") == ["b", "c"]
        assert names(fieldSelector="metadata.name=b") == ["b"]
        assert api.get(path, fieldSelector="data.x=1").refused(400) == (
            '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
        assert api.get("/api/v1/services", fieldSelector="x=1").refused(400) == "field label not supported: x"

    def test_pages_show_one_moment(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        for name in ("p1", "p2", "p3"):
            api.post(path, config_map(name)).ok()
        everything = [item["metadata"]["name"] for item in api.get(path).ok()["items"]]
        first = api.get(path, limit="1").ok()
        api.post(path, config_map("p4")).ok()

        rest = api.get(path, **{"continue": first["metadata"]["continue"]}).ok()

        assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == everything
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_a_version_from_the_future_is_refused(self, api: Api, namespace: str) -> None:
        refused = api.get(MAPS.format(namespace), resourceVersion="99999999")

        assert refused.status == 504
        assert refused.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    def test_an_exact_version_shows_the_past(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        version = api.post(path, config_map("a", x="1")).ok()["metadata"]["resourceVersion"]
        api.merge(f"{path}/a", {"data": {"x": "2"}}).ok()

        past = api.get(
            path, resourceVersion=version, resourceVersionMatch="Exact", fieldSelector="metadata.name=a"
        ).ok()

        assert past["items"][0]["data"] == {"x": "1"}

    def test_items_of_a_built_in_list_carry_no_kind(self, api: Api, namespace: str, pools: str) -> None:
        api.post(MAPS.format(namespace), config_map("a")).ok()
        api.post(f"/apis/{pools}/v1/namespaces/{namespace}/pools", pool("a")).ok()

        built_in = api.get(MAPS.format(namespace)).ok()
        custom = api.get(f"/apis/{pools}/v1/namespaces/{namespace}/pools").ok()

        assert built_in["kind"] == "ConfigMapList"
        assert all("kind" not in item for item in built_in["items"])
        assert custom["items"][0]["kind"] == "Pool"

    def test_a_table_has_columns_and_rows(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a")).ok()

        table = api.call("GET", SERVICES.format(namespace), accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()

        assert table["kind"] == "Table"
        shown = [column["name"] for column in table["columnDefinitions"]]
        assert shown == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
        cells = table["rows"][0]["cells"]
        assert (cells[0], cells[1], cells[3], cells[4]) == ("a", "LoadBalancer", "<pending>", "80/TCP")

    def test_only_metadata(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a")).ok()

        listed = api.call(
            "GET",
            SERVICES.format(namespace),
            accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ).ok()

        assert listed["kind"] == "PartialObjectMetadataList"
        assert "spec" not in listed["items"][0]


class TestWatching:
    def test_a_watch_without_a_version_begins_with_what_is_there(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a")).ok()

        with api.watch(SERVICES.format(namespace)) as watch:
            assert watch.names(1) == [("ADDED", "a")]
            api.merge(f"{SERVICES.format(namespace)}/a", {"metadata": {"labels": {"x": "y"}}}).ok()
            api.delete(f"{SERVICES.format(namespace)}/a").ok()
            assert watch.names(2) == [("MODIFIED", "a"), ("DELETED", "a")]

    def test_a_watch_from_a_version_tells_what_came_after(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        version = api.get(path).ok()["metadata"]["resourceVersion"]
        api.post(path, config_map("a")).ok()
        api.post(path, config_map("b")).ok()

        with api.watch(path, resourceVersion=version) as watch:
            seen = [event for event in watch.names(2) if event[1] in ("a", "b")]

        assert seen == [("ADDED", "a"), ("ADDED", "b")]

    def test_leaving_a_selection_is_a_deletion(self, api: Api, namespace: str) -> None:
        path = MAPS.format(namespace)
        body = config_map("a")
        body["metadata"]["labels"] = {"mine": "yes"}
        with api.watch(path, labelSelector="mine=yes") as watch:
            api.post(path, body).ok()
            api.merge(f"{path}/a", {"metadata": {"labels": {"mine": "no"}}}).ok()
            api.merge(f"{path}/a", {"metadata": {"labels": {"mine": "yes"}}}).ok()

            assert watch.names(3) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a")]

    def test_a_streamed_list_ends_with_a_marked_bookmark(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a")).ok()

        with api.watch(
            SERVICES.format(namespace),
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
        ) as watch:
            added, bookmark = next(watch), next(watch)

        assert added["type"] == "ADDED"
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    def test_a_watch_ends_when_its_time_is_up(self, api: Api, namespace: str) -> None:
        with api.watch(SERVICES.format(namespace), timeoutSeconds="1") as watch:
            assert list(watch) == []


class TestServices:
    def test_a_service_cidr_tells_where_cluster_ips_come_from(self, api: Api, namespace: str) -> None:
        found = api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").ok()

        made = api.post(SERVICES.format(namespace), service("a")).ok()
        assert any(ip_address(made["spec"]["clusterIP"]) in ip_network(cidr) for cidr in found["spec"]["cidrs"])
        assert [one["status"] for one in found["status"]["conditions"] if one["type"] == "Ready"] == ["True"]

    def test_what_is_filled_in(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a")).ok()["spec"]

        assert ip_address(made["clusterIP"]) in ip_network("10.188.0.0/18")
        assert made["clusterIPs"] == [made["clusterIP"]]
        assert made["ipFamilies"] == ["IPv4"]
        assert made["ipFamilyPolicy"] == "SingleStack"
        assert made["externalTrafficPolicy"] == made["internalTrafficPolicy"] == "Cluster"
        assert made["sessionAffinity"] == "None"
        assert "nodePort" not in made["ports"][0]

    def test_node_ports_come_unless_they_are_refused(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a", allocateLoadBalancerNodePorts=True)).ok()["spec"]

        assert 30000 <= made["ports"][0]["nodePort"] <= 32767

    def test_local_traffic_gets_a_health_check_port(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a", externalTrafficPolicy="Local")).ok()["spec"]

        assert 30000 <= made["healthCheckNodePort"] <= 32767

    def test_dual_stack_gets_an_address_of_each_family(self, api: Api, namespace: str) -> None:
        body = service("a", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv6", "IPv4"])

        made = api.post(SERVICES.format(namespace), body).ok()["spec"]

        assert [ip_address(text).version for text in made["clusterIPs"]] == [6, 4]
        assert ip_address(made["clusterIP"]) in ip_network("fd00:10:188::/112")

    def test_a_cluster_ip_is_given_once_and_can_be_wished_for(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a", clusterIP="10.188.40.1")).ok()

        taken = api.post(SERVICES.format(namespace), service("b", clusterIP="10.188.40.1")).refused(422)
        outside = api.post(SERVICES.format(namespace), service("b", clusterIP="10.1.1.1")).refused(422)

        assert "failed to allocate IP 10.188.40.1: provided IP is already allocated" in taken
        assert "failed to allocate IP 10.1.1.1" in outside
        api.delete(f"{SERVICES.format(namespace)}/a").ok()
        eventually(lambda: api.post(SERVICES.format(namespace), service("c", clusterIP="10.188.40.1")).status == 201)

    def test_a_headless_service_has_no_address(self, api: Api, namespace: str) -> None:
        made = api.post(
            SERVICES.format(namespace),
            service("a", type="ClusterIP", clusterIP="None", allocateLoadBalancerNodePorts=None),
        ).ok()["spec"]

        assert made["clusterIPs"] == ["None"]

    def test_an_update_may_be_silent_about_what_was_drawn(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        made = api.post(path, service("a", allocateLoadBalancerNodePorts=True)).ok()
        silent = service("a", allocateLoadBalancerNodePorts=True, selector={"app": "other"})

        updated = api.put(f"{path}/a", silent).ok()["spec"]

        assert updated["clusterIP"] == made["spec"]["clusterIP"]
        assert updated["ports"] == made["spec"]["ports"]

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            ({"ports": []}, "spec.ports: Required value"),
            ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
            ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
            ({"type": "Ball"},
             'Unsupported value: "Ball": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
            ({"externalTrafficPolicy": "Some"},
             'spec.externalTrafficPolicy: Unsupported value: "Some": supported values: "Cluster", "Local"'),
            ({"type": "ClusterIP", "allocateLoadBalancerNodePorts": None, "loadBalancerClass": "a/b"},
             "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"),
            ({"type": "ClusterIP"},
             "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"),
            ({"clusterIP": "None"}, "may not be set to 'None' for LoadBalancer services"),
            ({"externalIPs": ["127.0.0.1"]},
             'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, api: Api, namespace: str, spec: dict[str, Any], sentence: str) -> None:
        assert sentence in api.post(SERVICES.format(namespace), service("a", **spec)).refused(422)

    def test_the_load_balancer_class_never_changes(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a", loadBalancerClass="example.org/one")).ok()

        message = api.merge(f"{path}/a", {"spec": {"loadBalancerClass": "example.org/two"}}).refused(422)

        assert 'spec.loadBalancerClass: Invalid value: "example.org/two": may not change once set' in message

    def test_status_takes_annotations_and_ingress_in_one_write_but_no_spec(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        written = api.merge(
            f"{path}/a/status",
            {
                "metadata": {"annotations": {"example.org/by": "test"}, "labels": {"x": "y"}},
                "spec": {"selector": {"app": "other"}},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}},
            },
        ).ok()

        assert written["metadata"]["annotations"] == {"example.org/by": "test"}
        assert written["metadata"]["labels"] == {"x": "y"}
        assert written["spec"]["selector"] == {"app": "a"}
        assert written["status"]["loadBalancer"] == {"ingress": [{"ip": "10.31.188.64", "ipMode": "VIP"}]}

    def test_the_mode_of_an_address_is_filled_in_by_the_type_that_the_write_itself_says(
        self, api: Api, namespace: str
    ) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()
        status = {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}}

        message = api.merge(f"{path}/a/status", {"spec": {"type": "ClusterIP"}, "status": status}).refused(422)

        assert "status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set" in message
        assert api.merge(f"{path}/a/status", {"status": status}).status == 200

    def test_a_put_of_a_service_that_is_not_there_creates_it(self, api: Api, namespace: str) -> None:
        assert api.put(f"{SERVICES.format(namespace)}/1st", service("1st")).status == 201

    def test_status_can_be_put_and_a_stale_one_is_a_conflict(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        made = api.post(path, service("a")).ok()
        made["status"] = {"loadBalancer": {"ingress": [{"ip": "10.31.188.65"}]}}

        written = api.put(f"{path}/a/status", made)
        again = api.put(f"{path}/a/status", {**made, "status": {}})

        assert written.ok()["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.31.188.65"
        assert again.status == 409

    def test_the_spec_is_written_without_touching_status(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        written = api.merge(f"{path}/a", {"status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}}).ok()

        assert written["status"] == {"loadBalancer": {}}

    def test_a_service_that_is_no_load_balancer_any_more_loses_its_ingress(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a", loadBalancerClass="example.org/one")).ok()
        api.merge(f"{path}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}}).ok()

        changed = api.merge(f"{path}/a", {"spec": {"type": "ClusterIP"}}).ok()

        assert changed["status"] == {"loadBalancer": {}}
        assert "loadBalancerClass" not in changed["spec"]
        assert "externalTrafficPolicy" not in changed["spec"]
        assert "allocateLoadBalancerNodePorts" not in changed["spec"]

    def test_an_address_in_status_must_be_one(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        message = api.merge(f"{path}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}}).refused(422)

        assert "status.loadBalancer.ingress[0].ip: Invalid value" in message


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


class TestAccess:
    def account(self, api: Api, namespace: str) -> Api:
        """A ServiceAccount's own way in."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        api.post(accounts, {"metadata": {"name": "robot"}}).ok()
        token = api.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 3600}}).ok()["status"]["token"]
        return api.as_user(token)

    def grant(self, api: Api, namespace: str, *rules: dict[str, Any]) -> None:
        base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        api.post(f"{base}/roles", {"metadata": {"name": "r"}, "rules": list(rules)}).ok()
        binding = {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
        }
        api.post(f"{base}/rolebindings", binding).ok()

    def test_nothing_is_allowed_without_a_rule(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)

        named = robot.get(f"{SERVICES.format(namespace)}/a").refused(403)
        everywhere = robot.get("/api/v1/services").refused(403)

        user = f"system:serviceaccount:{namespace}:robot"
        assert named == (
            f'services "a" is forbidden: User "{user}" cannot get resource "services" in API group "" in the'
            f' namespace "{namespace}"'
        )
        assert everywhere == (
            f'services is forbidden: User "{user}" cannot list resource "services" in API group "" at the cluster scope'
        )

    def test_a_rule_allows_what_it_says_and_no_more(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)
        self.grant(
            api,
            namespace,
            {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["services/status"], "resourceNames": ["a"], "verbs": ["patch"]},
        )
        api.post(SERVICES.format(namespace), service("a")).ok()
        api.post(SERVICES.format(namespace), service("b")).ok()
        eventually(lambda: robot.get(SERVICES.format(namespace)).status == 200)

        assert robot.merge(f"{SERVICES.format(namespace)}/a/status", {"metadata": {"labels": {"x": "y"}}}).status == 200
        assert robot.merge(f"{SERVICES.format(namespace)}/b/status", {}).status == 403
        assert robot.merge(f"{SERVICES.format(namespace)}/a", {}).status == 403
        assert robot.get("/api/v1/services").status == 403

    def test_a_list_and_a_watch_of_one_name_need_the_right_to_that_name_only(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)
        rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["list", "watch"]}
        self.grant(api, namespace, rule)
        maps, user = MAPS.format(namespace), f"system:serviceaccount:{namespace}:robot"
        for name in ("a", "b"):
            api.post(maps, config_map(name)).ok()
        eventually(lambda: robot.get(maps, fieldSelector="metadata.name=a").status == 200)

        listed = robot.get(maps, fieldSelector="metadata.name=a").ok()
        assert [one["metadata"]["name"] for one in listed["items"]] == ["a"]
        with robot.watch(maps, fieldSelector="metadata.name=a") as watch:
            assert next(watch)["object"]["metadata"]["name"] == "a"
        assert robot.get(maps, fieldSelector="metadata.name=b").refused(403) == (
            f'configmaps "b" is forbidden: User "{user}" cannot list resource "configmaps" in API group "" in the'
            f' namespace "{namespace}"'
        )
        for wider in ("metadata.name!=b", f"metadata.namespace={namespace}"):
            assert robot.get(maps, fieldSelector=wider).status == 403
        assert robot.get(maps).status == 403
        assert robot.get(maps, fieldSelector="metadata.name=b", watch="true").status == 403

    def test_an_apply_that_makes_the_object_needs_the_right_to_create_it_too(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)
        self.grant(api, namespace, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]})
        maps = MAPS.format(namespace)
        api.post(maps, config_map("there")).ok()
        eventually(lambda: robot.apply(f"{maps}/there", config_map("there"), "robot", force="true").status == 200)

        message = robot.apply(f"{maps}/new", config_map("new"), "robot").refused(403)
        assert 'cannot create resource "configmaps"' in message

    def test_access_reviews(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)
        self.grant(api, namespace, {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]})
        review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

        def may(verb: str, group: str, resource: str) -> bool:
            attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
            allowed: bool = robot.post(review, {"spec": {"resourceAttributes": attributes}}).ok()["status"]["allowed"]
            return allowed

        eventually(lambda: may("create", "apps", "deployments"))
        assert not may("delete", "apps", "deployments")

    def test_a_token_review_knows_the_account(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)

        review = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": robot.token}}).ok()

        assert review["status"]["authenticated"] is True
        assert review["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:robot"

    def test_a_wrong_token_is_401_and_none_is_anonymous(self, api: Api, namespace: str) -> None:
        assert api.as_user("wrong").get(SERVICES.format(namespace)).refused(401) == "Unauthorized"
        assert 'User "system:anonymous"' in api.as_user(None).get(SERVICES.format(namespace)).refused(403)
        assert api.as_user(None).get("/readyz").status == 200

    def test_a_token_dies_with_its_account(self, api: Api, namespace: str) -> None:
        robot = self.account(api, namespace)
        assert robot.get(SERVICES.format(namespace)).status == 403

        api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/robot").ok()

        eventually(lambda: robot.get(SERVICES.format(namespace)).status == 401, within=15)


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


class TestDiscovery:
    def test_plain_discovery_lists_kinds_and_subresources(self, api: Api, pools: str) -> None:
        core = {entry["name"]: entry for entry in api.get("/api/v1").ok()["resources"]}
        custom = {entry["name"]: entry for entry in api.get("/apis/example.org/v1").ok()["resources"]}

        assert core["services"]["shortNames"] == ["svc"]
        assert core["pods/eviction"]["kind"] == "Eviction"
        assert core["services/status"]["verbs"] == ["get", "patch", "update"]
        assert custom["pools"]["shortNames"] == ["pl"]

    def test_aggregated_discovery_says_the_same_in_one_answer(self, api: Api, pools: str) -> None:
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

        found = api.call("GET", "/apis", accept=accept)

        assert found.headers["Content-Type"].startswith("application/json;g=apidiscovery.k8s.io;v=v2")
        groups = {item["metadata"]["name"]: item for item in found.ok()["items"]}
        version = groups["example.org"]["versions"][0]
        assert version["resources"][0]["responseKind"]["kind"] == "Pool"

    def test_openapi_v3_has_a_document_per_group(self, api: Api, pools: str) -> None:
        paths = api.get("/openapi/v3").ok()["paths"]

        assert {"api/v1", "apis/apps/v1", "apis/example.org/v1"} <= set(paths)
        document = api.get("/openapi/v3/apis/example.org/v1").ok()
        pool_schema = document["components"]["schemas"]["org.example.v1.Pool"]
        assert pool_schema["properties"]["spec"]["properties"]["size"]["default"] == 5

    def test_it_is_healthy(self, api: Api) -> None:
        assert api.get("/version").ok()["major"] == "1"
        for path in ("/healthz", "/livez", "/readyz"):
            assert api.get(path).body == "ok"
