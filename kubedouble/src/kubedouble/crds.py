"""CustomResourceDefinitions: what they must be, and the kinds that they bring to life.

Owns the defaults, validation and conditions of CRDs and, per served version, the schema at work (`CustomKind`).
Must not touch: how requests come in.
"""

from __future__ import annotations

from typing import Any, Final

from .cel import Rules, compile_rules
from .errors import Cause, JsonObject, bad_value, duplicate, missing, not_allowed, unsupported
from .kinds import Kind
from .metadata import now, wrong_dns_label, wrong_service_name, wrong_subdomain
from .resources import ALL_VERBS, SCALE, STATUS, Registry, Resource, Subresource
from .structural import default, prune, validate

TABLE: Final = "apiextensions.k8s.io/customresourcedefinitions"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")


class CustomKind(Kind):
    """One served version of a custom resource."""

    keeps_status_at_creation = True

    def __init__(self, version: JsonObject, kind: str) -> None:
        self.kind = kind
        self.schema: JsonObject = (version.get("schema") or {}).get("openAPIV3Schema") or {_KEEP: True}
        self.has_status = "status" in (version.get("subresources") or {})
        self.scale: JsonObject | None = (version.get("subresources") or {}).get("scale")
        self.columns: list[JsonObject] = version.get("additionalPrinterColumns") or []
        self.warning: str | None = None
        if version.get("deprecated"):
            self.warning = version.get("deprecationWarning") or ""
        self._rules: Rules = compile_rules(self.schema)

    def decode(self, obj: JsonObject) -> tuple[JsonObject, list[str]]:
        """A pruned copy, and the sentences about what was pruned."""
        clean, gone = prune(obj, self.schema)
        return clean, [f'unknown field "{path}"' for path in gone]

    def default(self, obj: JsonObject) -> None:
        default(obj, self.schema)

    def validate(self, obj: JsonObject) -> list[Cause]:
        return validate(obj, self.schema)

    def check_rules(self, obj: JsonObject, old: JsonObject | None, found: list[Cause]) -> list[Cause]:
        """The CEL rules, `oldSelf` included. They don't run on an object of another shape than they expect."""
        if not self._rules:
            return []
        if any(cause.reason in _BLOCKING for cause in found):
            return [bad_value("<nil>", None, _UNCHECKED)]
        return self._rules.check(obj, old)

    def prepare_create(self, obj: JsonObject) -> None:
        if self.has_status:
            obj.pop("status", None)

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        if self.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]

    def status_takes_metadata(self) -> bool:
        return False

    def generation_moves(self, old: JsonObject, new: JsonObject) -> bool:
        ignored = {"metadata", "status"} if self.has_status else {"metadata"}
        return {key: value for key, value in old.items() if key not in ignored} != {
            key: value for key, value in new.items() if key not in ignored
        }


_KEEP: Final = "x-kubernetes-preserve-unknown-fields"
_BLOCKING: Final = frozenset(
    (
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    )
)
_UNCHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete"
    " validation"
)


class DefinitionKind(Kind):
    """The CRD itself as an object."""

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if names.get("kind"):
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", names["kind"] + "List")
        spec.setdefault("conversion", {"strategy": "None"})
        obj.setdefault("status", {})

    def prepare_create(self, obj: JsonObject) -> None:
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if CLEANUP not in finalizers:
            finalizers.append(CLEANUP)
        obj["status"] = _status(obj, {})

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        new["status"] = _status(new, old.get("status") or {})

    def validate(self, obj: JsonObject) -> list[Cause]:
        spec, causes = obj["spec"], []
        names, group = spec.get("names") or {}, spec.get("group", "")
        wanted = f"{names.get('plural', '')}.{group}"
        if obj["metadata"].get("name") != wanted:
            why = 'must be spec.names.plural+"."+spec.group'
            causes.append(bad_value("metadata.name", obj["metadata"].get("name"), why))
        if not group:
            causes.append(missing("spec.group"))
        elif wrong := wrong_subdomain(group):
            causes.append(bad_value("spec.group", group, wrong))
        elif "." not in group:
            causes.append(bad_value("spec.group", group, "should be a domain with at least one dot"))
        if (group == "k8s.io" or group.endswith((".k8s.io", ".kubernetes.io"))) and (
            "api-approved.kubernetes.io" not in (obj["metadata"].get("annotations") or {})
        ):
            why = (
                'protected groups must have approval annotation "api-approved.kubernetes.io",'
                " see https://github.com/kubernetes/enhancements/pull/1111"
            )
            causes.append(missing("metadata.annotations[api-approved.kubernetes.io]", why))
        if spec.get("scope") not in ("Cluster", "Namespaced"):
            causes.append(
                missing("spec.scope")
                if not spec.get("scope")
                else unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
            )
        for field in ("plural", "singular", "kind", "listKind"):
            if not names.get(field):
                causes.append(missing(f"spec.names.{field}"))
            elif wrong := wrong_service_name(names[field].lower()):
                causes.append(bad_value(f"spec.names.{field}", names[field], wrong))
        return causes + _validate_versions(spec)

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        causes = [
            bad_value(f"spec.{field}", new["spec"].get(field), "field is immutable")
            for field in ("group", "scope")
            if old["spec"].get(field) != new["spec"].get(field)
        ]
        for field in ("plural", "kind"):
            before, after = old["spec"]["names"].get(field), (new["spec"].get("names") or {}).get(field)
            if before != after:
                causes.append(bad_value(f"spec.names.{field}", after, "field is immutable"))
        kept = {version.get("name") for version in new["spec"].get("versions") or []}
        stored = (old.get("status") or {}).get("storedVersions") or []
        for at, version in enumerate(stored):
            if version not in kept:
                why = "must appear in spec.versions"
                causes.append(bad_value(f"status.storedVersions[{at}]", version, why))
        return causes


def _validate_versions(spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    versions = spec.get("versions") or []
    names: set[str] = set()
    for at, version in enumerate(versions):
        path = f"spec.versions[{at}]"
        name = version.get("name", "")
        if wrong := wrong_dns_label(name):
            causes.append(bad_value(f"{path}.name", name, wrong))
        if name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            causes.append(missing(f"{path}.schema.openAPIV3Schema", "schemas are required"))
            continue
        where = f"{path}.schema.openAPIV3Schema"
        if schema.get("type") != "object":
            causes.append(
                missing(f"{where}.type", "must not be empty at the root")
                if not schema.get("type")
                else bad_value(f"{where}.type", schema["type"], "must be object at the root")
            )
        causes += _validate_structure(schema, where, root=True)
        causes += compile_rules(schema).errors(where)
        for column_at, column in enumerate(version.get("additionalPrinterColumns") or []):
            if not str(column.get("jsonPath", "")).startswith("."):
                causes.append(
                    bad_value(
                        f"{path}.additionalPrinterColumns[{column_at}].jsonPath",
                        column.get("jsonPath"),
                        "must be a simple json path starting with .",
                    )
                )
    storage = [version for version in versions if version.get("storage")]
    if len(storage) != 1:
        why = "must have exactly one version marked as storage version"
        causes.append(bad_value("spec.versions", [version.get("name") for version in versions], why))
    if (spec.get("conversion") or {}).get("strategy") not in ("None", "Webhook"):
        causes.append(unsupported("spec.conversion.strategy", spec["conversion"].get("strategy"), ("None", "Webhook")))
    return causes


def _validate_structure(schema: Any, path: str, *, root: bool = False) -> list[Cause]:
    """The rules of a structural schema that are broken most (KEP-20190425)."""
    causes: list[Cause] = []
    if not isinstance(schema, dict):
        return causes
    if not root and not schema.get("type"):
        if not schema.get("x-kubernetes-int-or-string") and not schema.get(_KEEP):
            causes.append(missing(f"{path}.type", "must not be empty for specified object fields"))
    elif not root and schema["type"] not in _TYPES:
        causes.append(unsupported(f"{path}.type", schema["type"], _TYPES))
    for name, inner in (schema.get("properties") or {}).items():
        if root and name in ("apiVersion", "kind", "metadata"):
            continue
        causes += _validate_structure(inner, f"{path}.properties[{name}]")
    if schema.get("properties") and schema.get("additionalProperties"):
        causes.append(
            not_allowed(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
        )
    if isinstance(schema.get("additionalProperties"), dict):
        causes += _validate_structure(schema["additionalProperties"], f"{path}.additionalProperties")
    if schema.get("type") == "array":
        if not isinstance(schema.get("items"), dict):
            causes.append(missing(f"{path}.items", "must be specified"))
        else:
            causes += _validate_structure(schema["items"], f"{path}.items")
    return causes


def _status(obj: JsonObject, before: JsonObject) -> JsonObject:
    """Names accepted and Established at once: the controller that does it in a cluster takes some milliseconds."""
    spec = obj["spec"]
    stamps = {condition["type"]: condition.get("lastTransitionTime") for condition in before.get("conditions") or []}
    storage = next((version["name"] for version in spec.get("versions") or [] if version.get("storage")), "")
    stored = list(before.get("storedVersions") or [])
    if storage and storage not in stored:
        stored.append(storage)

    def condition(kind: str, reason: str, message: str) -> JsonObject:
        return {
            "lastTransitionTime": stamps.get(kind) or now(),
            "message": message,
            "reason": reason,
            "status": "True",
            "type": kind,
        }

    kept = [other for other in before.get("conditions") or [] if other["type"] not in ("NamesAccepted", "Established")]
    return {
        **before,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            *kept,
        ],
        "acceptedNames": spec.get("names") or {},
        "storedVersions": stored,
    }


class CustomKinds:
    """The kinds that live CRDs define; follows them through the store's commits."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kinds: dict[tuple[str, str, str], CustomKind] = {}
        self.definitions: dict[str, JsonObject] = {}
        """Live CRD objects by the table of their instances."""

    def kind(self, resource: Resource) -> CustomKind:
        return self._kinds[resource.group, resource.plural, resource.version]

    def follow(self, before: JsonObject | None, after: JsonObject | None) -> None:
        definition = after or before
        assert definition is not None
        spec = definition["spec"]
        group, names = spec["group"], spec["names"]
        table = f"{group}/{names['plural']}"
        if after is None:
            self.definitions.pop(table, None)
            self._registry.replace_custom(group, names["plural"], [])
            return
        self.definitions[table] = after
        if before is not None and before["spec"] == spec:
            return
        resources: list[Resource] = []
        for version in sorted(spec["versions"], key=lambda version: not version.get("storage")):
            kind = CustomKind(version, names["kind"])
            self._kinds[group, names["plural"], version["name"]] = kind
            if not version.get("served"):
                continue
            subresources: list[Subresource] = []
            if kind.has_status:
                subresources.append(STATUS)
            if kind.scale:
                subresources.append(SCALE)
            resources.append(
                Resource(
                    group,
                    version["name"],
                    names["plural"],
                    names["kind"],
                    namespaced=spec["scope"] == "Namespaced",
                    short_names=tuple(names.get("shortNames") or ()),
                    categories=tuple(names.get("categories") or ()),
                    subresources=tuple(subresources),
                    verbs=ALL_VERBS,
                    singular=names["singular"],
                    key=table,
                    custom=True,
                    generation=True,
                    selectable=tuple(
                        field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or ()
                    ),
                )
            )
        self._registry.replace_custom(group, names["plural"], resources)

    def stored_version(self, table: str) -> str:
        """The API version (`group/version`) in which instances of `table` are stored."""
        spec = self.definitions[table]["spec"]
        name = next(version["name"] for version in spec["versions"] if version.get("storage"))
        return f"{spec['group']}/{name}"
