"""The chart's README in helm-docs' form: README.md.gotmpl with the table of values.yaml's comments in it.

Owns the few of helm-docs' templates that are used there, so that its file is as helm-docs would write it and nobody
needs helm-docs to build it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

_MARK: Final = "# -- "
_HEAD: Final = "| Key | Type | Default | Description |\n|-----|------|---------|-------------|\n"
_TYPES: Final = {str: "string", bool: "bool", int: "int", list: "list", dict: "object", type(None): "string"}


class Value(NamedTuple):
    """A value of the chart."""

    key: str
    default: Any
    meaning: str
    """Empty: nothing is said of it."""


def values_of(text: str) -> Iterator[Value]:
    """Each value of a values.yaml that is no mapping of others, in the file's order."""
    yield from _values(yaml.compose(text, Loader=yaml.SafeLoader), "", text.splitlines())


def _values(mapping: Any, prefix: str, lines: list[str]) -> Iterator[Value]:
    for key, content in mapping.value:
        if isinstance(content, yaml.MappingNode) and content.value:
            yield from _values(content, f"{prefix}{key.value}.", lines)
        else:
            meaning = _comment(lines[: key.start_mark.line])
            yield Value(prefix + key.value, yaml.safe_load(yaml.serialize(content)), meaning)


def _comment(lines: list[str]) -> str:
    """What the comment at the end of these lines says after its mark."""
    said: list[str] = []
    for line in reversed(lines):
        comment = line.strip()
        if comment.startswith(_MARK):
            return " ".join([comment.removeprefix(_MARK), *said])
        if not comment.startswith("# "):
            return ""
        said.insert(0, comment.removeprefix("# "))
    return ""


def table(text: str) -> str:
    """The values of a values.yaml as helm-docs has them, by name."""
    rows = sorted(values_of(text))
    return _HEAD + "".join(
        f"| {one.key} | {_TYPES[type(one.default)]} | `{_default(one.default)}` | {one.meaning} |\n" for one in rows
    )


def _default(value: Any) -> str:
    return "nil" if value is None else json.dumps(value, separators=(",", ":"))


def readme(chart: Path) -> str:
    """The text of the README of the chart in that folder."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    parts = {
        "chart.header": f"# {about['name']}\n\n",
        "chart.description": f"{about['description']}\n",
        "chart.kubeVersionLine": f"Kubernetes: `{about['kubeVersion']}`\n",
        "chart.valuesSection": f"## Values\n\n{table((chart / 'values.yaml').read_text())}",
    }
    text = (chart / "README.md.gotmpl").read_text()
    for name, part in parts.items():
        text = text.replace(f'{{{{ template "{name}" . }}}}\n', part)
    return text
