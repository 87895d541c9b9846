"""The CEL rules of a schema as values: which rules are at which place of it, and names as CEL has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .errors import JsonObject

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
