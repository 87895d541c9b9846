"""What a user may do: Roles and bindings from the store, enforced.

Owns the authorization decision, its 403 sentence, and the answers of the access reviews. Must not touch: HTTP, tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .auth import ACCOUNT_PREFIX, MASTERS, User
from .errors import JsonObject, StatusError, qualified
from .store import Store

GROUP: Final = "rbac.authorization.k8s.io"
_TABLES: Final = tuple(
    f"{GROUP}/{plural}" for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
)
_CACHE_LIMIT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Attributes:
    """One request as RBAC sees it. `resource` is empty for a path outside the API (`/healthz`)."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of request that a ServiceAccount made."""

    user: str
    verb: str
    group: str
    resource: str
    """With its subresource: `services/status`."""
    namespace: str


class Authorizer:
    """Decides by the RBAC objects in the store. Decisions are remembered until one of those objects changes."""

    def __init__(self, store: Store) -> None:
        self.granted: set[Asked] = set()
        self.refused: set[Asked] = set()
        self._store = store
        self._cache: dict[tuple[User, Attributes], bool] = {}
        self._seen = -1

    def allows(self, user: User, attributes: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        newest = max(self._store.table(table).last_rv for table in _TABLES)
        if newest != self._seen or len(self._cache) > _CACHE_LIMIT:
            self._cache.clear()
            self._seen = newest
        decision = self._cache.get((user, attributes))
        if decision is None:
            decision = any(_rule_allows(rule, attributes) for rule in self.rules_for(user, attributes.namespace))
            self._cache[user, attributes] = decision
        return decision

    def require(self, user: User, attributes: Attributes) -> None:
        """Raises `StatusError` 403 with Kubernetes' sentence."""
        is_allowed = self.allows(user, attributes)
        if user.name.startswith(ACCOUNT_PREFIX) and not attributes.path:
            asked = Asked(user.name, attributes.verb, attributes.group, attributes.full_resource, attributes.namespace)
            (self.granted if is_allowed else self.refused).add(asked)
        if not is_allowed:
            raise refusal(user, attributes)

    def rules_for(self, user: User, namespace: str) -> Iterator[JsonObject]:
        for record in self._store.records(f"{GROUP}/clusterrolebindings"):
            if _binds(record.obj, user, ""):
                yield from self._rules_of(record.obj["roleRef"], "")
        if namespace:
            for record in self._store.records(f"{GROUP}/rolebindings", namespace):
                if _binds(record.obj, user, namespace):
                    yield from self._rules_of(record.obj["roleRef"], namespace)

    def _rules_of(self, ref: JsonObject, namespace: str) -> list[JsonObject]:
        if ref.get("kind") == "ClusterRole":
            role = self._store.get(f"{GROUP}/clusterroles", "", ref["name"])
        else:
            role = self._store.get(f"{GROUP}/roles", namespace, ref["name"])
        return (role.obj.get("rules") or []) if role is not None else []


def refusal(user: User, attributes: Attributes) -> StatusError:
    if not attributes.resource:
        message = f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"'
        return StatusError(403, "Forbidden", message, details={})
    scope = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    subject = qualified(attributes.resource, attributes.group)
    named = f' "{attributes.name}"' if attributes.name else ""
    message = (
        f'{subject}{named} is forbidden: User "{user.name}" cannot {attributes.verb} resource'
        f' "{attributes.full_resource}" in API group "{attributes.group}" {scope}'
    )
    details: JsonObject = {"name": attributes.name} if attributes.name else {}
    if attributes.group:
        details["group"] = attributes.group
    details["kind"] = attributes.resource
    return StatusError(403, "Forbidden", message, details=details)


def _binds(binding: JsonObject, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or []:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if user.name == f"{ACCOUNT_PREFIX}{home}:{name}":
                return True
    return False


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _rule_allows(rule: JsonObject, attributes: Attributes) -> bool:
    if not _has(rule.get("verbs"), attributes.verb):
        return False
    if not attributes.resource:
        return any(
            url == "*" or url == attributes.path or (url.endswith("*") and attributes.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or []
        )
    if not _has(rule.get("apiGroups"), attributes.group):
        return False
    resources = rule.get("resources") or []
    if not (
        "*" in resources
        or attributes.full_resource in resources
        or (attributes.subresource and f"*/{attributes.subresource}" in resources)
    ):
        return False
    names = rule.get("resourceNames") or []
    return not names or attributes.name in names


def access_review(authorizer: Authorizer, user: User, spec: JsonObject) -> JsonObject:
    """The `status` of a (Self)SubjectAccessReview."""
    allowed = authorizer.allows(user, attributes_of(spec))
    status: JsonObject = {"allowed": allowed}
    if allowed and MASTERS not in user.groups:
        status["reason"] = "RBAC: allowed"
    return status


def attributes_of(spec: JsonObject) -> Attributes:
    if (path := spec.get("nonResourceAttributes")) is not None:
        return Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    wanted = spec.get("resourceAttributes") or {}
    return Attributes(
        verb=wanted.get("verb", ""),
        group=wanted.get("group", ""),
        resource=wanted.get("resource", ""),
        subresource=wanted.get("subresource", ""),
        namespace=wanted.get("namespace", ""),
        name=wanted.get("name", ""),
    )


def rules_review(authorizer: Authorizer, user: User, namespace: str) -> JsonObject:
    """The `status` of a SelfSubjectRulesReview."""
    rules: list[JsonObject] = list(authorizer.rules_for(user, namespace))
    if MASTERS in user.groups:
        rules.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        rules.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    return {
        "resourceRules": [
            {key: rule[key] for key in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(key)}
            for rule in rules
            if rule.get("resources")
        ],
        "nonResourceRules": [
            {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
            for rule in rules
            if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }


def _role(name: str, *rules: JsonObject) -> JsonObject:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    return {"metadata": {"name": name, "labels": labels}, "rules": list(rules)}


def _binding(role: str, *groups: str) -> JsonObject:
    return {
        "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups],
    }


def _rule(verbs: str, groups: list[str], resources: str) -> JsonObject:
    return {"apiGroups": groups, "resources": resources.split(), "verbs": verbs.split()}


_PUBLIC: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]
_READ: Final = "get list watch"
_WRITE: Final = "create delete deletecollection patch update"
_USUAL: Final = (
    "configmaps endpoints persistentvolumeclaims pods replicationcontrollers replicationcontrollers/scale"
    " serviceaccounts services"
)

# The roles that every cluster has and that people bind to (plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
BOOTSTRAP_ROLES: Final[tuple[JsonObject, ...]] = (
    _role(
        "cluster-admin",
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ),
    _role(
        "admin",
        _rule(f"{_READ} {_WRITE}", [""], f"{_USUAL} secrets events"),
        _rule(f"{_READ} {_WRITE}", ["apps", "batch", "autoscaling", "policy", "networking.k8s.io"], "*"),
        _rule(f"{_READ} {_WRITE}", [GROUP], "roles rolebindings"),
    ),
    _role(
        "edit",
        _rule(f"{_READ} {_WRITE}", [""], f"{_USUAL} secrets events"),
        _rule(f"{_READ} {_WRITE}", ["apps", "batch", "autoscaling", "policy", "networking.k8s.io"], "*"),
    ),
    _role(
        "view",
        _rule(_READ, [""], f"{_USUAL} events namespaces pods/log pods/status services/status"),
        _rule(_READ, ["apps", "batch", "autoscaling", "policy", "networking.k8s.io", "discovery.k8s.io"], "*"),
    ),
    _role("system:discovery", {"nonResourceURLs": _PUBLIC + _DISCOVERY, "verbs": ["get"]}),
    _role("system:public-info-viewer", {"nonResourceURLs": _PUBLIC, "verbs": ["get"]}),
    _role(
        "system:basic-user",
        _rule("create", ["authorization.k8s.io"], "selfsubjectaccessreviews selfsubjectrulesreviews"),
        _rule("create", ["authentication.k8s.io"], "selfsubjectreviews"),
    ),
    _role(
        "system:auth-delegator",
        _rule("create", ["authentication.k8s.io"], "tokenreviews"),
        _rule("create", ["authorization.k8s.io"], "subjectaccessreviews"),
    ),
)
BOOTSTRAP_BINDINGS: Final[tuple[JsonObject, ...]] = (
    _binding("cluster-admin", MASTERS),
    _binding("system:discovery", "system:authenticated"),
    _binding("system:basic-user", "system:authenticated"),
    _binding("system:public-info-viewer", "system:authenticated", "system:unauthenticated"),
)


def covers(rules: list[JsonObject], wanted: JsonObject) -> bool:
    """True when `rules` grant everything that `wanted` grants: nobody may give what they don't have."""

    def granted(**one: Any) -> bool:
        return any(_rule_allows(rule, Attributes(**one)) for rule in rules)

    for verb in wanted.get("verbs") or []:
        for url in wanted.get("nonResourceURLs") or []:
            if not granted(verb=verb, path=url):
                return False
        for group in wanted.get("apiGroups") or []:
            for resource in wanted.get("resources") or []:
                plural, _, sub = resource.partition("/")
                for name in wanted.get("resourceNames") or [""]:
                    if not granted(verb=verb, group=group, resource=plural, subresource=sub, name=name):
                        return False
    return True
