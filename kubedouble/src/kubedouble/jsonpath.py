"""The JSONPath of printer columns and selectable fields: `.spec.a`, `.items[0]`, `.list[*].x`, `['a.b']`,
`['a','b']`, `[?(@.type=="Ready")].status`. Pure.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\\])+)          # .name, dots escaped by a backslash
      | \[(?P<index>-?\d+)\]                   # [0]
      | \[\*\](?P<all>)                        # [*]
      | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]
      | \[\?\(\s*@(?P<path>[^=!<>~]+?)\s*(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>[^)]*?)\s*\)\]
    """,
    re.VERBOSE,
)


def find(obj: Any, path: str) -> list[Any]:
    """All values at `path`, in order; nothing when a part of it is not there or the path is malformed."""
    text = path.strip().removeprefix("{").removesuffix("}")
    if not text.startswith((".", "[")):
        text = "." + text
    values, at = [obj], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return []
        values = [found for value in values for found in _step(value, token)]
        at = token.end()
    return values


def _step(value: Any, token: re.Match[str]) -> list[Any]:
    if token["key"] is not None:
        keys = token["key"].split(f"{token['quote']},{token['quote']}")
        return [value[key] for key in keys if isinstance(value, dict) and key in value]
    name = token["name"]
    if name is not None:
        name = name.replace("\\.", ".")
        if name == "*":
            return list(value.values()) if isinstance(value, dict) else []
        return [value[name]] if isinstance(value, dict) and name in value else []
    if token["index"] is not None:
        at = int(token["index"])
        return [value[at]] if isinstance(value, list) and -len(value) <= at < len(value) else []
    if not isinstance(value, list):
        return list(value.values()) if isinstance(value, dict) else []
    if token["path"] is None:
        return list(value)
    wanted = _literal(token["value"])
    return [item for item in value if any(_compare(hit, token["op"], wanted) for hit in find(item, token["path"]))]


def _literal(text: str) -> Any:
    if text[:1] in "'\"" and text[-1:] == text[:1]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _compare(value: Any, op: str, wanted: Any) -> bool:
    if op == "==":
        return bool(value == wanted)
    if op == "!=":
        return bool(value != wanted)
    if not (isinstance(value, int | float) and isinstance(wanted, int | float)):
        return False
    return {"<": value < wanted, ">": value > wanted, "<=": value <= wanted, ">=": value >= wanted}[op]
