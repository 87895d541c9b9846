"""Kubernetes label selectors: as objects (matchLabels, matchExpressions) and as text (``rack=a,disk in (ssd,nvme)``).

No I/O. Source of the text's form: Kubernetes, "Labels and selectors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb.errors import SpecError

Json: TypeAlias = Mapping[str, Any]

_OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_BETWEEN: Final = re.compile(r",(?![^(]*\))")
"""A comma that isn't between parentheses."""
_SET: Final = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")


class SelectorError(SpecError):
    """A selector that can't be evaluated."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A Kubernetes label selector (matchLabels and matchExpressions)."""

    requirements: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(key, operator, values), all of which must hold; none: everything matches."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(self._holds(labels, *requirement) for requirement in self.requirements)

    @staticmethod
    def _holds(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
        match operator:
            case "In":
                return labels.get(key) in values
            case "NotIn":
                return labels.get(key) not in values
            case "Exists":
                return key in labels
            case _:
                return key not in labels


def parse_selector(block: Json | None) -> Selector:
    """The selector of an object, a ``nodeSelector`` say; None: one that everything matches. Raises SelectorError."""
    requirements = [(key, "In", (value,)) for key, value in ((block or {}).get("matchLabels") or {}).items()]
    for expression in (block or {}).get("matchExpressions") or ():
        key, operator = expression.get("key", ""), expression.get("operator", "")
        values = tuple(expression.get("values") or ())
        if operator not in _OPERATORS:
            raise SelectorError(f'operator "{operator}" is none of In, NotIn, Exists, DoesNotExist')
        if (operator in ("In", "NotIn")) != bool(values):
            raise SelectorError(f"operator {operator} of {key} takes {'no' if values else 'at least one'} value")
        requirements.append((key, operator, values))
    return Selector(tuple(requirements))


def parse_selector_text(text: str) -> Selector:
    """A selector as kubectl's ``-l`` takes it. Raises SelectorError with one sentence."""
    return Selector(tuple(_requirement(part.strip()) for part in _BETWEEN.split(text)))


def _requirement(text: str) -> tuple[str, str, tuple[str, ...]]:
    if found := _SET.fullmatch(text):
        key, operator = found[1], "In" if found[2] == "in" else "NotIn"
        values = tuple(value.strip() for value in found[3].split(","))
    elif "!=" in text:
        key, _, value = text.partition("!=")
        operator, values = "NotIn", (value.strip(),)
    elif "=" in text:
        key, _, value = text.partition("=")
        operator, values = "In", (value.removeprefix("=").strip(),)
    elif text.startswith("!"):
        key, operator, values = text[1:], "DoesNotExist", ()
    else:
        key, operator, values = text, "Exists", ()
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise SelectorError(f'"{key[:64]}" is not the key of a label')
    for value in values:
        if not _VALUE.fullmatch(value):
            raise SelectorError(f'"{value[:64]}" is not the value of a label')
    return key, operator, values
