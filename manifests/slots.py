"""Places in a manifest that are a chart's to fill: a mark in the YAML, and the template text for its line.

Owns how a template is written around a manifest's YAML; which places there are, the chart says (chart.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml


class Slots:
    """The marks of one manifest."""

    def __init__(self) -> None:
        self._texts: list[Callable[[str, str], str]] = []

    def scalar(self, expression: str) -> str:
        """A value that is one expression."""
        return self._mark(lambda indent, key: f"{indent}{key} {expression}\n")

    def block(self, value: str, default: Any) -> str:
        """A value of the chart that replaces the manifests' whole block when it is set."""

        def text(indent: str, key: str) -> str:
            inner = indent.replace("-", " ") + "  "
            lines = "".join(f"{inner}{line}\n" for line in dump(default).splitlines())
            return (
                f"{indent}{key}\n{inner}{{{{- with {value} }}}}\n{inner}{{{{- toYaml . | nindent {len(inner)} }}}}\n"
                f"{inner}{{{{- else }}}}\n{lines}{inner}{{{{- end }}}}\n"
            )

        return self._mark(text)

    def text(self, value: str, default: str) -> str:
        """A value of several lines, the first of which may be indented; set, it replaces the manifests' own."""

        def text(indent: str, key: str) -> str:
            inner = indent + "  "
            lines = "".join(f"{inner}{line}".rstrip() + "\n" for line in escaped(default).splitlines())
            return (
                f"{indent}{key} |2\n{inner}{{{{- with {value} }}}}\n{inner}{{{{- . | nindent {len(inner)} }}}}\n"
                f"{inner}{{{{- else }}}}\n{lines}{inner}{{{{- end }}}}\n"
            )

        return self._mark(text)

    def mapping(self, value: str, default: dict[str, str], *, ours_win: bool) -> str:
        """The manifests' mapping together with one of the chart's values; of one key, whose entry counts."""
        ours = "(dict {})".format(" ".join(f'"{key}" "{content}"' for key, content in default.items()))
        theirs = f"({value} | default dict)"
        first, second = (ours, theirs) if ours_win else (theirs, ours)

        def text(indent: str, key: str) -> str:
            inner = indent.replace("-", " ") + "  "
            return f"{indent}{key}\n{inner}{{{{- merge (dict) {first} {second} | toYaml | nindent {len(inner)} }}}}\n"

        return self._mark(text)

    def optional(self, key: str, value: str) -> str:
        """A field that is there only when a value of the chart is set."""
        return self.line(f'{{{{- with {value} }}}}{{{{ dict "{key}" . | toYaml | nindent INDENT }}}}{{{{- end }}}}')

    def listed(self, key: str, entries: str) -> str:
        """A list that is there only when a template has entries of it."""
        shown = f'{{{{ "{key}:" | nindent INDENT }}}}{{{{ . | trim | nindent INDENT }}}}'
        return self.line(f"{{{{- with {entries} }}}}{shown}{{{{- end }}}}")

    def line(self, template: str) -> str:
        """A whole line instead of `key: mark`, or of `- key: mark`; INDENT in it becomes the depth of that line."""

        def text(indent: str, _: str) -> str:
            depth = indent.replace("-", " ") if indent.endswith("- ") and not indent.strip(" -") else indent
            depth = depth.removesuffix("  ") if indent.endswith("- ") else depth
            return f"{depth}{template.replace('INDENT', str(len(depth)))}\n"

        return self._mark(text)

    def _mark(self, text: Callable[[str, str], str]) -> str:
        self._texts.append(text)
        return f"__slot{len(self._texts) - 1}__"

    def fill(self, manifest: Any) -> str:
        """The template of a manifest with marks in it."""
        lines = []
        for line in escaped(dump(manifest)).splitlines(keepends=True):
            key, _, mark = line.rstrip("\n").rpartition(" ")
            if mark.startswith("__slot") and mark.endswith("__"):
                indent = key[: len(key) - len(key.lstrip(" -"))]
                lines.append(self._texts[int(mark.removeprefix("__slot").removesuffix("__"))](indent, key.strip(" -")))
            else:
                lines.append(line)
        return "".join(lines)


def escaped(text: str) -> str:
    """A text whose own braces a template leaves alone."""
    return text.replace("{{", '{{ "{{" }}')


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as it is read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """YAML on lines as long as they are; a text of several lines stays one."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=10_000)
