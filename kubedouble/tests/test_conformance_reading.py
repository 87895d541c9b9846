"""What we rely on in a Kubernetes API server: lists, watches and discovery.

They run on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`.
"""

from __future__ import annotations

from kubedouble.testing.clusters import Api
from objects import config_map, pool, service

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


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
