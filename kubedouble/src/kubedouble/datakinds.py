"""ConfigMaps and Secrets: keys, bytes in base64, and data that is declared immutable."""

from __future__ import annotations

import base64
import binascii
import re

from .errors import Cause, JsonObject, bad_request, bad_value, missing, not_allowed
from .kinds import IMMUTABLE, Kind

_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_WRONG_DATA_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or"
    " 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def _decode_base64(kind: str, values: JsonObject) -> None:
    """Bytes are decoded with the object: what is no base64 is no object. Raises `StatusError` 400."""
    for value in values.values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            why = f"illegal base64 data at input byte {_first_not_base64(value)}"
            raise bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {why}') from None


def _first_not_base64(text: str) -> int:
    match = _BASE64.match(text)
    return match.end() // 4 * 4 if match and match.end() == len(text) else match.end() if match else 0


def _bad_keys(obj: JsonObject, field: str) -> list[Cause]:
    return [
        bad_value(f"{field}[{key}]", key, _WRONG_DATA_KEY)
        for key in obj.get(field) or {}
        if not _DATA_KEY.fullmatch(key)
    ]


def _immutable_data(old: JsonObject, new: JsonObject) -> list[Cause]:
    if not old.get("immutable"):
        return []
    causes = []
    if not new.get("immutable"):
        causes.append(not_allowed("immutable", "field is immutable when `immutable` is set"))
    causes += [
        not_allowed(field, "field is immutable when `immutable` is set")
        for field in ("data", "binaryData")
        if (old.get(field) or {}) != (new.get(field) or {})
    ]
    return causes


class SecretKind(Kind):
    def default(self, obj: JsonObject) -> None:
        obj.setdefault("type", "Opaque")
        _decode_base64("Secret", obj.get("data") or {})
        plain = obj.pop("stringData", None)
        if plain:
            data = obj.setdefault("data", {})
            for key, value in plain.items():
                data[key] = base64.b64encode(value.encode()).decode()

    def validate(self, obj: JsonObject) -> list[Cause]:
        causes = _bad_keys(obj, "data")
        required = {
            "kubernetes.io/tls": ("tls.crt", "tls.key"),
            "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
        }.get(obj.get("type", ""), ())
        causes += [missing(f"data[{key}]") for key in required if key not in (obj.get("data") or {})]
        return causes

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        causes = _immutable_data(old, new)
        if old.get("type") != new.get("type"):
            causes.append(bad_value("type", new.get("type"), IMMUTABLE))
        return causes


class ConfigMapKind(Kind):
    def default(self, obj: JsonObject) -> None:
        _decode_base64("ConfigMap", obj.get("binaryData") or {})

    def validate(self, obj: JsonObject) -> list[Cause]:
        return _bad_keys(obj, "data") + _bad_keys(obj, "binaryData")

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        return _immutable_data(old, new)


DATA_KINDS: dict[str, Kind] = {"/configmaps": ConfigMapKind(), "/secrets": SecretKind()}
