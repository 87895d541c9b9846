"""Runs the CEL rules of a schema on an object: which old value belongs to a new one, and the sentences of a refusal.

Types are checked as a rule runs, and the cost of rules is not limited. A part of an object that an update leaves as it
was is not checked again (KEP-4008).
"""

from __future__ import annotations

import json
from typing import Any, Final

import celpy
import re2
from celpy.celtypes import DurationType, IntType, ListType, MapType, StringType, TimestampType
from celpy.evaluation import CELEvalError

from .celfunctions import IP_NAMESPACE
from .celplaces import Node, Rule, escaped
from .errors import Cause, JsonObject
from .structural import parse_duration

_REASONS: Final = {
    "FieldValueForbidden": "Forbidden: {message}",
    "FieldValueRequired": "Required value: {message}",
    "FieldValueDuplicate": 'Duplicate value: "{type}"',
}


def check(node: Node, value: Any, old: Any, path: str, causes: list[Cause]) -> None:
    if value is None:
        return
    if node.rules:
        _run(node, value, old, path, causes)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            child = node.properties.get(name) or (
                node.values if name not in node.schema.get("properties", {}) else None
            )
            if child is not None:
                if node.values is child:
                    where = f"{path}[{name}]"
                else:
                    where = f"{path}.{name}" if path else name
                check(child, inner, before.get(name), where, causes)
    elif isinstance(value, list) and node.items is not None:
        for at, inner in enumerate(value):
            check(node.items, inner, _correlated(node.schema, inner, old), f"{path}[{at}]", causes)


def _correlated(schema: JsonObject, item: Any, old: Any) -> Any:
    """The old item with the same key; only lists of type map have such."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return None
    for candidate in old:
        if isinstance(candidate, dict) and all(candidate.get(key) == item.get(key) for key in keys):
            return candidate
    return None


def _run(node: Node, value: Any, old: Any, path: str, causes: list[Cause]) -> None:
    variables = {"self": _to_cel(value, node.schema), IP_NAMESPACE: StringType(IP_NAMESPACE)}
    if old is not None:
        variables["oldSelf"] = _to_cel(old, node.schema)
    for rule in node.rules:
        if old is None if rule.is_transition else old == value:
            continue
        kind = str(node.schema.get("type", "object"))
        shown = "" if isinstance(value, dict | list) else f"{_json(value)}: "
        try:
            if bool(rule.program.evaluate(variables)):
                continue
            message = _message(rule, variables)
        except CELEvalError as failed:
            shown = f'"{kind}": '
            message = f"{_why(failed)} evaluating rule: {rule.message or rule.text}"
        where = f"{path}{rule.field_path}" if rule.field_path else path
        form = _REASONS.get(rule.reason, "Invalid value: {shown}{message}")
        text = form.replace("{type}", kind).replace("{shown}", shown).replace("{message}", message)
        causes.append(Cause(where.lstrip(".") or "<nil>", text, rule.reason))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _message(rule: Rule, variables: JsonObject) -> str:
    if rule.message_program is not None:
        try:
            made = str(rule.message_program.evaluate(variables)).strip()
        except CELEvalError:
            made = ""
        if made and "\n" not in made:
            return made
    return rule.message or f"failed rule: {rule.text}"


def _why(failed: CELEvalError) -> str:
    """The innermost reason, as cel-go would say it."""
    if failed.args and (absent := re2.search("no such member in mapping: '(.*)'", str(failed.args[0]))):
        return f"no such key: {absent.group(1)}"
    if len(failed.args) > 2 and failed.args[2]:
        reason = failed.args[2][0]
        if failed.args[1] is KeyError:
            return f"no such key: {reason}"
        return str(reason)

    return str(failed.args[0]) if failed.args else "evaluation error"


def _to_cel(value: Any, schema: Any) -> Any:
    """JSON as CEL values; what is a struct in the schema has escaped names, what is a map keeps its keys."""
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        values = schema.get("additionalProperties")
        pairs = {}
        for name, inner in value.items():
            known = properties.get(name)
            key = name if known is None and isinstance(values, dict) else escaped(name)
            pairs[StringType(key)] = _to_cel(inner, known if known is not None else values)
        return MapType(pairs)
    if isinstance(value, list):
        return ListType([_to_cel(inner, schema.get("items")) for inner in value])
    if isinstance(value, str):
        match schema.get("format"):
            case "date-time":
                return TimestampType(value)
            case "duration":
                return DurationType(parse_duration(value))
    if isinstance(value, int) and not isinstance(value, bool):
        if schema.get("type") == "number":
            return celpy.celtypes.DoubleType(value)
        return IntType(value)
    return celpy.json_to_cel(value)
