"""What the embedded server does in place of the controller manager."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from kubedouble.testing.clusters import Api, Embedded
from objects import config_map, pool, pool_definition


@pytest.fixture
def api(embedded: Embedded) -> Api:
    return embedded.api


def eventually(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.01)


def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def owned(name: str, owner: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = config_map(name)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                 "uid": owner["metadata"]["uid"], **more}  # fmt: skip
    body["metadata"]["ownerReferences"] = [reference]
    return body


def gone(api: Api, path: str) -> bool:
    return api.get(path).status == 404


class TestGarbage:
    def test_what_an_owner_leaves_behind_follows_it(self, api: Api, namespace: str) -> None:
        owner = api.post(maps(namespace), config_map("owner")).ok()
        child = api.post(maps(namespace), owned("child", owner)).ok()
        api.post(maps(namespace), owned("grandchild", child)).ok()

        api.delete(f"{maps(namespace)}/owner").ok()

        eventually(lambda: gone(api, f"{maps(namespace)}/child") and gone(api, f"{maps(namespace)}/grandchild"))

    def test_a_second_living_owner_keeps_it(self, api: Api, namespace: str) -> None:
        first = api.post(maps(namespace), config_map("first")).ok()
        second = api.post(maps(namespace), config_map("second")).ok()
        child = owned("child", first)
        child["metadata"]["ownerReferences"] += owned("x", second)["metadata"]["ownerReferences"]
        api.post(maps(namespace), child).ok()

        api.delete(f"{maps(namespace)}/first").ok()

        def left() -> list[str]:
            meta = api.get(f"{maps(namespace)}/child").ok()["metadata"]
            return [owner["name"] for owner in meta["ownerReferences"]]

        eventually(lambda: left() == ["second"])

    def test_orphans_live_on(self, api: Api, namespace: str) -> None:
        owner = api.post(maps(namespace), config_map("owner")).ok()
        api.post(maps(namespace), owned("child", owner)).ok()

        api.delete(f"{maps(namespace)}/owner", {"propagationPolicy": "Orphan"}).ok()

        eventually(lambda: gone(api, f"{maps(namespace)}/owner"))
        assert "ownerReferences" not in api.get(f"{maps(namespace)}/child").ok()["metadata"]

    def test_foreground_deletion_waits_for_the_dependents(self, api: Api, namespace: str) -> None:
        owner = api.post(maps(namespace), config_map("owner")).ok()
        child = owned("child", owner, blockOwnerDeletion=True)
        child["metadata"]["finalizers"] = ["example.org/hold"]
        api.post(maps(namespace), child).ok()

        api.delete(f"{maps(namespace)}/owner", {"propagationPolicy": "Foreground"}).ok()
        eventually(lambda: "deletionTimestamp" in api.get(f"{maps(namespace)}/child").ok()["metadata"])
        assert api.get(f"{maps(namespace)}/owner").ok()["metadata"]["finalizers"] == ["foregroundDeletion"]

        api.merge(f"{maps(namespace)}/child", {"metadata": {"finalizers": None}}).ok()
        eventually(lambda: gone(api, f"{maps(namespace)}/owner"))

    def test_a_dependent_of_nobody_is_collected(self, api: Api, namespace: str) -> None:
        ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}

        api.post(maps(namespace), owned("child", ghost)).ok()

        eventually(lambda: gone(api, f"{maps(namespace)}/child"))


class TestNamespaces:
    def test_each_has_a_service_account_and_the_root_certificate(self, api: Api, namespace: str) -> None:
        eventually(lambda: api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").status == 200)
        eventually(lambda: api.get(f"{maps(namespace)}/kube-root-ca.crt").status == 200)

        certificate = api.get(f"{maps(namespace)}/kube-root-ca.crt").ok()["data"]["ca.crt"]
        assert certificate.startswith("-----BEGIN CERTIFICATE-----")

    def test_deletion_takes_the_contents_along_and_refuses_new_ones(self, api: Api, namespace: str) -> None:
        held = config_map("held")
        held["metadata"]["finalizers"] = ["example.org/hold"]
        api.post(maps(namespace), held).ok()
        api.post(maps(namespace), config_map("free")).ok()

        dying = api.delete(f"/api/v1/namespaces/{namespace}").ok()
        assert dying["status"]["phase"] == "Terminating"
        eventually(lambda: gone(api, f"{maps(namespace)}/free"))
        refusal = api.post(maps(namespace), config_map("late")).refused(403)
        assert f"unable to create new content in namespace {namespace} because it is being terminated" in refusal

        api.merge(f"{maps(namespace)}/held", {"metadata": {"finalizers": None}}).ok()
        eventually(lambda: gone(api, f"/api/v1/namespaces/{namespace}"))


def test_a_definitions_objects_go_with_it(api: Api, namespace: str) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.post(definitions, pool_definition("gone.example.org")).ok()
    path = f"/apis/gone.example.org/v1/namespaces/{namespace}/pools"
    api.post(path, pool("a", group="gone.example.org")).ok()
    with api.watch(path) as watch:
        assert watch.names(1) == [("ADDED", "a")]

        api.delete(f"{definitions}/pools.gone.example.org").ok()

        assert watch.names(1) == [("DELETED", "a")]
        assert list(watch) == []
    eventually(lambda: gone(api, f"{definitions}/pools.gone.example.org"))
    assert api.get(path).status == 404
