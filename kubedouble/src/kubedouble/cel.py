"""CEL rules of CRDs (`x-kubernetes-validations`): compiled once, run on every write.

Owns compiling, which finds fields and functions that aren't there; what happens as they run is `celchecks`'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final

import celpy
import lark
from celpy.evaluation import base_functions

from .celchecks import check
from .celfunctions import FUNCTIONS, IP_NAMESPACE
from .celplaces import Node, Rule, escaped
from .celrunner import Runner
from .errors import Cause, JsonObject, bad_value

RULES: Final = "x-kubernetes-validations"
_MACROS: Final = frozenset(("all", "exists", "exists_one", "filter", "has", "map", "min"))
_TYPES: Final = frozenset(
    (
        "bool",
        "bytes",
        "double",
        "duration",
        "dyn",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "timestamp",
        "type",
        "uint",
    )
)


@cache
def _environment() -> celpy.Environment:
    """The parser costs 0.1 s to make and has no state."""
    return celpy.Environment(runner_class=Runner)


@cache
def _parsed(text: str) -> tuple[lark.Tree[Any], Any]:
    """Tree and program of a rule; the same rule stands at many places of a schema, and parsing is slow."""
    tree = _environment().compile(text)
    return tree, _environment().program(tree, functions=dict(FUNCTIONS))


class Rules:
    """All rules of one schema."""

    def __init__(self, root: Node | None, failures: list[tuple[str, str, str]]) -> None:
        self._root = root
        self._failures = failures

    def __bool__(self) -> bool:
        return self._root is not None

    def errors(self, where: str) -> list[Cause]:
        """What did not compile, for the CRD's validation; `where` is the schema's path."""
        return [
            bad_value(f"{where}{path}.rule", text, f"compilation failed: ERROR: {why}")
            for path, text, why in self._failures
        ]

    def check(self, obj: JsonObject, old: JsonObject | None) -> list[Cause]:
        causes: list[Cause] = []
        if self._root is not None:
            check(self._root, obj, old, "", causes)
        return causes


def compile_rules(schema: JsonObject) -> Rules:
    """The rules of a schema. Remembered: a CRD is validated and served, and its versions may be alike."""
    return _compile(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=32)
def _compile(schema: str) -> Rules:
    failures: list[tuple[str, str, str]] = []
    return Rules(_compile_node(json.loads(schema), "", failures), failures)


def _compile_node(schema: Any, path: str, failures: list[tuple[str, str, str]]) -> Node | None:
    if not isinstance(schema, dict):
        return None
    node = Node(schema)
    for at, spec in enumerate(schema.get(RULES) or []):
        try:
            node.rules.append(_compile_rule(spec, schema))
        except _Uncompilable as wrong:
            failures.append((f"{path}.{RULES}[{at}]", str(spec.get("rule", "")), str(wrong)))
    for name, inner in (schema.get("properties") or {}).items():
        if (child := _compile_node(inner, f"{path}.properties[{name}]", failures)) is not None:
            node.properties[name] = child
    node.values = _compile_node(schema.get("additionalProperties"), f"{path}.additionalProperties", failures)
    node.items = _compile_node(schema.get("items"), f"{path}.items", failures)
    return node if node.rules or node.properties or node.values or node.items else None


class _Uncompilable(Exception):
    pass


def _compile_rule(spec: JsonObject, schema: JsonObject) -> Rule:
    text = spec.get("rule", "")
    tree, program = _program(text, schema)
    if spec.get("optionalOldSelf"):
        raise _Uncompilable("optionalOldSelf needs optional types, which this server's CEL lacks")
    expression = spec.get("messageExpression", "")
    return Rule(
        text,
        spec.get("message", ""),
        _program(expression, schema)[1] if expression else None,
        spec.get("reason", "FieldValueInvalid"),
        spec.get("fieldPath", ""),
        program,
        "oldSelf" in _identifiers(tree),
    )


def _program(text: str, schema: JsonObject) -> tuple[lark.Tree[Any], Any]:
    try:
        tree, program = _parsed(text)
    except celpy.CELParseError as wrong:
        raise _Uncompilable(f"<input>: Syntax error: {str(wrong).strip()}") from None
    for name in _calls(tree):
        if name not in FUNCTIONS and name not in base_functions and name not in _MACROS:
            raise _Uncompilable(f"<input>: undeclared reference to '{name}' (in container '')")
    bound = {"self", "oldSelf", IP_NAMESPACE, *_TYPES, *_bound_names(tree)}
    for name in sorted(_identifiers(tree) - bound):
        raise _Uncompilable(f"<input>: undeclared reference to '{name}' (in container '')")
    for name in _unknown_fields(tree, schema):
        raise _Uncompilable(f"<input>: undefined field '{name}'")
    return tree, program


def _identifiers(tree: lark.Tree[Any]) -> set[str]:
    return {str(node.children[0]) for node in tree.find_data("ident")}


def _calls(tree: lark.Tree[Any]) -> Iterator[str]:
    for node in tree.find_data("ident_arg"):
        yield str(node.children[0])
    for node in tree.find_data("member_dot_arg"):
        yield str(node.children[1])


def _bound_names(tree: lark.Tree[Any]) -> Iterator[str]:
    """Variables of comprehensions: the first argument of a macro."""
    for node in tree.find_data("member_dot_arg"):
        if str(node.children[1]) in _MACROS and len(node.children) > 2:
            first = node.children[2].children[0]
            yield from _identifiers(first)


def _unknown_fields(tree: lark.Tree[Any], schema: JsonObject) -> Iterator[str]:
    """Fields of `self` that the schema does not have."""
    for node in tree.find_data("member_dot"):
        known = _schema_of(node.children[0], schema)
        name = str(node.children[1])
        if known is None or "properties" not in known or known.get("additionalProperties"):
            continue
        if name not in {escaped(prop) for prop in known["properties"]} and not (
            known is schema and name in ("apiVersion", "kind", "metadata")
        ):
            yield name


def _schema_of(tree: Any, schema: JsonObject) -> JsonObject | None:
    """The schema of a plain chain `self.a.b`, else None."""
    while isinstance(tree, lark.Tree) and tree.data in ("member", "primary") and len(tree.children) == 1:
        tree = tree.children[0]
    if not isinstance(tree, lark.Tree):
        return None
    if tree.data == "ident":
        return schema if str(tree.children[0]) in ("self", "oldSelf") else None
    if tree.data != "member_dot":
        return None
    parent = _schema_of(tree.children[0], schema)
    if parent is None:
        return None
    name = str(tree.children[1])
    for prop, inner in (parent.get("properties") or {}).items():
        if escaped(prop) == name:
            return inner if isinstance(inner, dict) else None
    return None
