"""What we rely on in a Kubernetes API server: who may do what.

They run on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`.
"""

from __future__ import annotations

from typing import Any

from kubedouble.testing.clusters import Api
from objects import config_map, service
from waiting import eventually

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


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
