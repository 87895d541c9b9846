"""CEL rules of CRDs (`x-kubernetes-validations`): compiled once, run on every write.

Owns where in a schema rules are, which old value belongs to a new one (`oldSelf`), and the sentences of a refusal.
Types are checked as a rule runs (fields and function names when it is compiled), and the cost of rules is not limited.
A part of an object that an update leaves as it was is not checked again (KEP-4008).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Final

import celpy
import lark
import re2
from celpy.celtypes import DurationType, IntType, ListType, MapType, StringType, TimestampType
from celpy.evaluation import CELEvalError, base_functions

from .celfunctions import FUNCTIONS, IP_NAMESPACE
from .celrunner import Runner
from .errors import Cause, JsonObject, bad_value
from .structural import parse_duration

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
_REASONS: Final = {
    "FieldValueForbidden": "Forbidden: {message}",
    "FieldValueRequired": "Required value: {message}",
    "FieldValueDuplicate": 'Duplicate value: "{type}"',
}
# Names that CEL reserves; as property names they are reached as `__name__` (KEP-2876, escaping).
_RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def escaped(name: str) -> str:
    """A property's name as an identifier."""
    if name in _RESERVED:
        return f"__{name}__"
    for text, replacement in _ESCAPES:
        name = name.replace(text, replacement)
    return name


@cache
def _environment() -> celpy.Environment:
    """The parser costs 0.1 s to make and has no state."""
    return celpy.Environment(runner_class=Runner)


@cache
def _parsed(text: str) -> tuple[lark.Tree[Any], Any]:
    """Tree and program of a rule; the same rule stands at many places of a schema, and parsing is slow."""
    tree = _environment().compile(text)
    return tree, _environment().program(tree, functions=dict(FUNCTIONS))


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule of one place in the schema."""

    text: str
    message: str
    message_program: Any
    reason: str
    field_path: str
    program: Any
    is_transition: bool


@dataclass(slots=True)
class Node:
    """A place in the schema that has rules, or leads to some."""

    schema: JsonObject
    rules: list[Rule] = field(default_factory=list)
    properties: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None
    items: Node | None = None


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
            _check(self._root, obj, old, "", causes)
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


# Running


def _check(node: Node, value: Any, old: Any, path: str, causes: list[Cause]) -> None:
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
                _check(child, inner, before.get(name), where, causes)
    elif isinstance(value, list) and node.items is not None:
        for at, inner in enumerate(value):
            _check(node.items, inner, _correlated(node.schema, inner, old), f"{path}[{at}]", causes)


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
