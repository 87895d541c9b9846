"""Structural schemas of custom resources at work: pruning, defaults, validation with Kubernetes' sentences.

Owns the walk of an object along its CRD's `openAPIV3Schema` (apiextensions `schema/pruning`, `schema/defaulting`,
kube-openapi `validation`). CEL rules are `cel.py`. Pure: `prune` copies, `default` fills the copy.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Final
from uuid import UUID

import re2

from .errors import (
    Cause,
    JsonObject,
    bad_value,
    missing,
    too_many,
    wrong_type,
)

_KEPT_AT_ROOT: Final = ("apiVersion", "kind", "metadata")
_KEEP: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"


# Pruning


def prune(obj: JsonObject, schema: JsonObject, *, root: bool = True) -> tuple[JsonObject, list[str]]:
    """A copy without the fields that the schema does not know, and their paths."""
    gone: list[str] = []
    return _prune(obj, schema, "", gone, root=root), gone


def _prune(value: Any, schema: JsonObject, path: str, gone: list[str], *, root: bool = False) -> Any:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        additional = schema.get("additionalProperties")
        keep = bool(schema.get(_KEEP)) or (additional is True)
        kept_here = _KEPT_AT_ROOT if root or schema.get(_EMBEDDED) else ()
        out: JsonObject = {}
        for key, inner in value.items():
            where = f"{path}.{key}" if path else key
            if key in kept_here:
                out[key] = copy.deepcopy(inner)
            elif key in properties:
                out[key] = _prune(inner, properties[key], where, gone)
            elif isinstance(additional, dict):
                out[key] = _prune(inner, additional, where, gone)
            elif keep or not (properties or "type" in schema or root):
                out[key] = copy.deepcopy(inner)
            else:
                gone.append(where)
        return out
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            return copy.deepcopy(value)
        return [_prune(inner, items, f"{path}[{at}]", gone) for at, inner in enumerate(value)]
    return value


# Defaults


def default(value: Any, schema: JsonObject) -> None:
    """Fills `default`s in place, from the outside in, so that a defaulted object gets its own defaults too."""
    if isinstance(value, dict):
        for key, inner in schema.get("properties", {}).items():
            if "default" in inner and (key not in value or (value[key] is None and not inner.get("nullable"))):
                value[key] = copy.deepcopy(inner["default"])
            elif value.get(key, 0) is None and not inner.get("nullable"):
                # A null that is neither allowed nor defaulted is as if it were not there.
                del value[key]
            if key in value:
                default(value[key], inner)
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            known = schema.get("properties", {})
            for key, inner in value.items():
                if key not in known:
                    default(inner, additional)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            default(inner, schema["items"])


# Validation


def validate(value: Any, schema: JsonObject, path: str = "", *, root: bool = True) -> list[Cause]:
    """Everything but CEL. The path of the whole object is "" (shown as `<nil>` by Kubernetes in root errors)."""
    causes: list[Cause] = []
    _validate(value, schema, path, causes, root=root)
    return causes


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "null" if value is None else "object"


def _fits(value: Any, wanted: str) -> bool:
    given = _type_of(value)
    if wanted == "number":
        return given in ("integer", "number")
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return given == wanted


def _validate(value: Any, schema: JsonObject, path: str, causes: list[Cause], *, root: bool = False) -> None:
    if value is None and schema.get("nullable"):
        return
    if schema.get(_INT_OR_STRING):
        if _type_of(value) not in ("integer", "string"):
            causes.append(_bad_type(path, value, "integer,string"))
            return
    elif (wanted := schema.get("type")) and not _fits(value, wanted):
        causes.append(_bad_type(path, value, wanted))
        return
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(f'"{_enum_text(option)}"' for option in schema["enum"])
        causes.append(
            Cause(path, f"Unsupported value: {_json(value)}: supported values: {listed}", "FieldValueNotSupported")
        )
    if isinstance(value, str):
        _validate_string(value, schema, path, causes)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        _validate_number(value, schema, path, causes)
    elif isinstance(value, list):
        _validate_list(value, schema, path, causes)
    elif isinstance(value, dict):
        _validate_object(value, schema, path, causes, root=root)
    _validate_combinations(value, schema, path, causes)


def _bad_type(path: str, value: Any, wanted: str) -> Cause:
    given = _type_of(value)
    return wrong_type(path or "<nil>", given, f'{_in_body(path)} must be of type {wanted}: "{given}"')


def _in_body(path: str) -> str:
    return f"{path} in body" if path else "in body"


def _enum_text(option: Any) -> str:
    return option if isinstance(option, str) else str(option).lower() if isinstance(option, bool) else str(option)


def _validate_string(value: str, schema: JsonObject, path: str, causes: list[Cause]) -> None:
    where = _in_body(path)
    if (least := schema.get("minLength")) is not None and len(value) < least:
        causes.append(bad_value(path, value, f"{where} should be at least {least} chars long"))
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        causes.append(Cause(path, f"Too long: may not be more than {most} bytes", "FieldValueTooLong"))
    if (pattern := schema.get("pattern")) and not _search(pattern, value):
        causes.append(bad_value(path, value, f"{where} should match '{pattern}'"))
    check = FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        causes.append(bad_value(path, value, f'{where} must be of type {schema["format"]}: "{value}"'))


def _search(pattern: str, value: str) -> bool:
    """Go's regexp is RE2."""
    return re2.search(pattern, value) is not None


def _validate_number(value: float, schema: JsonObject, path: str, causes: list[Cause]) -> None:
    where = _in_body(path)
    if (least := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            causes.append(bad_value(path, value, f"{where} should be greater than {least}"))
        elif value < least:
            causes.append(bad_value(path, value, f"{where} should be greater than or equal to {least}"))
    if (most := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            causes.append(bad_value(path, value, f"{where} should be less than {most}"))
        elif value > most:
            causes.append(bad_value(path, value, f"{where} should be less than or equal to {most}"))
    if (factor := schema.get("multipleOf")) and value % factor:
        causes.append(bad_value(path, value, f"{where} should be a multiple of {factor}"))


def _validate_list(value: list[Any], schema: JsonObject, path: str, causes: list[Cause]) -> None:
    where = _in_body(path)
    if (least := schema.get("minItems")) is not None and len(value) < least:
        causes.append(bad_value(path, len(value), f"{where} should have at least {least} items"))
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        causes.append(too_many(path, len(value), most))
    if schema.get("uniqueItems") and any(item in value[:at] for at, item in enumerate(value)):
        causes.append(bad_value(path, value, f"{where} shouldn't contain duplicates"))
    items = schema.get("items")
    if isinstance(items, dict):
        for at, inner in enumerate(value):
            _validate(inner, items, f"{path}[{at}]", causes)
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") == "map" and keys:
        seen: list[JsonObject] = []
        for at, inner in enumerate(value):
            identity = {key: inner.get(key) for key in keys} if isinstance(inner, dict) else {}
            if identity in seen:
                causes.append(Cause(f"{path}[{at}]", f"Duplicate value: {_json(identity)}", "FieldValueDuplicate"))
            seen.append(identity)
    elif schema.get("x-kubernetes-list-type") == "set":
        for at, inner in enumerate(value):
            if inner in value[:at]:
                causes.append(Cause(f"{path}[{at}]", f"Duplicate value: {_json(inner)}", "FieldValueDuplicate"))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _validate_object(
    value: JsonObject, schema: JsonObject, path: str, causes: list[Cause], *, root: bool = False
) -> None:
    where = _in_body(path)
    required = (name for name in schema.get("required") or () if name not in value)
    causes.extend(missing(f"{path}.{name}" if path else name) for name in required)
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        causes.append(bad_value(path, len(value), f"{where} should have at least {least} properties"))
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        causes.append(Cause(path, f"Too many: {len(value)}: must have at most {most} items", "FieldValueTooMany"))
    properties = schema.get("properties", {})
    additional = schema.get("additionalProperties")
    for key, inner in value.items():
        inner_path = f"{path}.{key}" if path else key
        if root and key in _KEPT_AT_ROOT:
            if key == "metadata" and key in properties and isinstance(inner, dict):
                _validate(inner, {**properties[key], "type": "object"}, inner_path, causes)
            continue
        if key in properties:
            _validate(inner, properties[key], inner_path, causes)
        elif isinstance(additional, dict):
            _validate(inner, additional, inner_path, causes)


def _validate_combinations(value: Any, schema: JsonObject, path: str, causes: list[Cause]) -> None:
    shown = path or "<nil>"

    def passing(options: list[JsonObject]) -> list[list[Cause]]:
        results = []
        for option in options:
            found: list[Cause] = []
            _validate(value, option, path, found)
            results.append(found)
        return results

    name = f'"{path}"' if path else '""'
    for option in schema.get("allOf") or ():
        _validate(value, option, path, causes)
    if options := schema.get("anyOf"):
        results = passing(options)
        if all(results):
            causes.append(Cause(shown, f'Invalid value: "": {name} must validate at least one schema (anyOf)'))
            causes.extend(results[0])
    if options := schema.get("oneOf"):
        results = passing(options)
        valid = sum(not found for found in results)
        if valid != 1:
            how = "none valid" if valid == 0 else f"{valid} valid alternatives"
            causes.append(
                Cause(shown, f'Invalid value: "": {name} must validate one and only one schema (oneOf). Found {how}')
            )
            if valid == 0:
                causes.extend(results[0])
    if (refused := schema.get("not")) is not None and not passing([refused])[0]:
        causes.append(Cause(shown, f'Invalid value: "": {name} must not validate the schema (not)'))


# Formats (kube-openapi `strfmt`); what is not listed is not checked, as in Kubernetes.


def _accepts(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _cidr(value: str) -> None:
    if "/" not in value:
        raise ValueError(value)
    ip_network(value, strict=False)


_DURATION = re.compile(r"([+-]?)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+|0")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: str) -> timedelta:
    """Go's `time.ParseDuration`: `1h30m`, `250ms`. Raises ValueError."""
    if not _DURATION.fullmatch(value):
        raise ValueError(f"invalid duration {value!r}")
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", value)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if value.startswith("-") else seconds)


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")

FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "ipv4": _accepts(IPv4Address),
    "ipv6": _accepts(IPv6Address),
    "cidr": _accepts(_cidr),
    "uuid": _accepts(UUID),
    "byte": _accepts(lambda value: base64.b64decode(value, validate=True)),
    "date": _accepts(date.fromisoformat),
    "date-time": _accepts(datetime.fromisoformat),
    "datetime": _accepts(datetime.fromisoformat),
    "duration": _accepts(parse_duration),
    "hostname": lambda value: len(value) <= 255 and _HOST.fullmatch(value) is not None,
    "mac": lambda value: re.fullmatch(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", value) is not None,
    "email": lambda value: re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None,
    "uri": lambda value: re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) is not None,
}
