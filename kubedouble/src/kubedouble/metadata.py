"""What every object's metadata must be: names, labels, annotations, owner references, finalizers.

Owns the validation of `metadata` (apimachinery `api/validation`) and the stamps of creation. Must not touch: the store.
"""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import UTC, datetime
from typing import Final

from .errors import Cause, JsonObject, bad_value, missing, not_allowed

_LABEL_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

WRONG_1123_LABEL: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end"
    " with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
WRONG_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start"
    " and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
WRONG_1035_LABEL: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
WRONG_NAME_PART: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
WRONG_LABEL_VALUE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_ANNOTATIONS_LIMIT: Final = 256 * 1024
_STANDARD_FINALIZERS: Final = ("orphan", "foregroundDeletion", "kubernetes")

# Tables whose names follow another rule than RFC 1123 subdomain.
_LABEL_NAMES = frozenset(("/namespaces", "/services"))
_FREE_NAMES = frozenset(
    f"rbac.authorization.k8s.io/{plural}" for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
)

# The alphabet of generated suffixes has no vowels and no look-alikes (apimachinery `util/rand`).
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def now() -> str:
    """The present in metav1.Time's form: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    return str(uuid.uuid4())


def generated_name(prefix: str) -> str:
    """`generateName` plus five random characters; at most 63 in all (`names.SimpleNameGenerator`)."""
    return prefix[:58] + "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))


def wrong_subdomain(value: str) -> str | None:
    if len(value) > 253:
        return "must be no more than 253 characters"
    return None if _SUBDOMAIN.fullmatch(value) else WRONG_SUBDOMAIN


def wrong_dns_label(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _LABEL_1123.fullmatch(value) else WRONG_1123_LABEL


def wrong_service_name(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _LABEL_1035.fullmatch(value) else WRONG_1035_LABEL


def wrong_qualified_name(value: str) -> str | None:
    """`prefix/name`, as label keys are."""
    prefix, slash, name = value.rpartition("/")
    if slash:
        if not prefix:
            return "prefix part must be non-empty"
        if wrong := wrong_subdomain(prefix):
            return f"prefix part {wrong}"
    if not name:
        return "name part must be non-empty; " + WRONG_NAME_PART
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    return None if _NAME_PART.fullmatch(name) else WRONG_NAME_PART


def wrong_label_value(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _LABEL_VALUE.fullmatch(value) else WRONG_LABEL_VALUE


def wrong_name(table: str, name: str) -> str | None:
    if table in _FREE_NAMES:
        if name in (".", ".."):
            return f"may not be '{name}'"
        bad = next((char for char in "/%" if char in name), None)
        return f"may not contain '{bad}'" if bad else None
    if table in _LABEL_NAMES:
        return wrong_dns_label(name)
    return wrong_subdomain(name)


def _is_built_in(table: str) -> bool:
    """Whether the main API server defines that kind; CRDs are the apiextensions server's."""
    group = table.rpartition("/")[0]
    return group != "apiextensions.k8s.io" and ("." not in group or group.endswith(".k8s.io"))


def validate_labels(labels: object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if not isinstance(labels, dict):
        return causes
    for key, value in labels.items():
        if wrong := wrong_qualified_name(key):
            causes.append(bad_value(path, key, wrong))
        if wrong := wrong_label_value(str(value)):
            causes.append(bad_value(path, value, wrong))
    return causes


def validate_metadata(meta: JsonObject, table: str) -> list[Cause]:
    """What creation and update both check."""
    causes: list[Cause] = []
    name = meta.get("name") or ""
    if not name:
        causes.append(missing("metadata.name", "name or generateName is required"))
    elif wrong := wrong_name(table, name):
        causes.append(bad_value("metadata.name", name, wrong))
    causes += validate_labels(meta.get("labels"), "metadata.labels")
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        if wrong := wrong_qualified_name(key.lower()):
            causes.append(bad_value("metadata.annotations", key, wrong))
        size += len(key) + len(str(value))
    if size > _ANNOTATIONS_LIMIT:
        causes.append(Cause("metadata.annotations", "Too long: may not be more than 262144 bytes", "FieldValueTooLong"))
    controllers = 0
    for at, owner in enumerate(meta.get("ownerReferences") or []):
        path = f"metadata.ownerReferences[{at}]"
        if not owner.get("apiVersion"):
            causes.append(bad_value(f"{path}.apiVersion", "", "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                causes.append(bad_value(f"{path}.{field}", "", f"{field} must not be empty"))
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        causes.append(bad_value("metadata.ownerReferences", None, "Only one reference can have Controller set to true"))
    for at, finalizer in enumerate(meta.get("finalizers") or []):
        if wrong := wrong_qualified_name(finalizer):
            causes.append(bad_value("metadata.finalizers", finalizer, wrong))
        elif _is_built_in(table) and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(bad_value(f"metadata.finalizers[{at}]", finalizer, why))
    return causes


def validate_metadata_update(old: JsonObject, new: JsonObject) -> list[Cause]:
    """Fields of metadata that never change, and finalizers that can't be added once deletion has begun."""
    causes = [
        bad_value(f"metadata.{field}", new.get(field, ""), "field is immutable")
        for field in ("name", "namespace")
        if old.get(field, "") != new.get(field, "")
    ]
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or []) - set(old.get("finalizers") or []))
        if extra:
            listed = ", ".join(f'"{item}"' for item in extra)
            why = (
                "no new finalizers can be added if the object is being deleted, found new finalizers"
                f" []string{{{listed}}}"
            )
            causes.append(not_allowed("metadata.finalizers", why))
    return causes
