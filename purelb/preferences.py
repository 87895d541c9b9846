"""What an operator and a Service's author say about where a VIP is to be, read and bounded. No I/O.

``placement`` of a ServiceGroup or LBNodeAgent; ``purelb.io/preferred-nodes`` and ``purelb.io/spread-group`` of a
Service; the label ``purelb.io/weight`` of a Node, and ``weight`` of an LBNodeAgent. Any tenant edits the annotations
of a Service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from purelb import names
from purelb.errors import SpecError
from purelb.selectors import Selector, parse_selector_text

Placement: TypeAlias = Literal["even", "hash"]
"""``even``: where the allocator's planner has it; ``hash``: by PureLB's hash rule alone."""

MOST_PREFERRED: Final = 32
"""Nodes that a Service may name."""
MOST_CONDITIONS: Final = 8
"""Of a Service's label selector, each of which is held against each node."""
MOST_VALUES: Final = 32
"""Of all of these conditions."""
LONGEST: Final = 1024
"""Characters of ``purelb.io/preferred-nodes``."""
MOST_WEIGHT: Final = 100
_NODE: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""The name of a Node (RFC 1123)."""
_SPREAD: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""A name as the value of a label may be."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Where the VIPs of a Service should rather be: on the nodes with these names, or with these labels."""

    nodes: frozenset[str] = frozenset()
    selector: Selector | None = None

    def includes(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a node is one of those."""
        return name in self.nodes or (self.selector is not None and self.selector.matches(labels))


def parse_rule(value: object, path: str) -> Placement | None:
    """``even``, ``hash``, or None where nothing is said. Raises SpecError with one sentence."""
    match value:
        case None | "even" | "hash":
            return value
        case _:
            raise SpecError(f'{path} "{value}" is neither even nor hash')


def parse_preference(text: str) -> Preference:
    """The annotation ``purelb.io/preferred-nodes``. Raises SpecError with one sentence."""
    if len(text) > LONGEST:
        raise SpecError(f"{names.PREFERRED_NODES} is longer than {LONGEST} characters")
    if any(sign in text for sign in "=!("):
        return Preference(selector=_parse_selector(text))
    listed = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not listed:
        raise SpecError(f"{names.PREFERRED_NODES} names no node")
    if len(listed) > MOST_PREFERRED:
        raise SpecError(f"{names.PREFERRED_NODES} names more than {MOST_PREFERRED} nodes; a label selector takes more")
    for node in sorted(listed):
        if not _NODE.fullmatch(node):
            raise SpecError(
                f"{names.PREFERRED_NODES} takes names of nodes, divided by commas, or a label selector such as rack=a; "
                f'"{node[:64]}" is neither'
            )
    return Preference(nodes=listed)


def _parse_selector(text: str) -> Selector:
    try:
        selector = parse_selector_text(text)
    except SpecError as error:
        raise SpecError(f"{names.PREFERRED_NODES} is no label selector: {error}") from None
    if len(selector.requirements) > MOST_CONDITIONS:
        raise SpecError(f"{names.PREFERRED_NODES} has more than {MOST_CONDITIONS} conditions")
    if sum(len(values) for _, _, values in selector.requirements) > MOST_VALUES:
        raise SpecError(f"{names.PREFERRED_NODES} has more than {MOST_VALUES} values")
    return selector


def parse_spread_group(text: str) -> str:
    """The annotation ``purelb.io/spread-group``. Raises SpecError with one sentence."""
    name = text.strip()
    if not _SPREAD.fullmatch(name):
        raise SpecError(f"{names.SPREAD_GROUP} is no name of at most 63 letters, digits, dashes, dots and underscores")
    return name


def misread(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each of a Service's wishes that can't be read, and so isn't followed."""
    said = []
    for key, parse in ((names.PREFERRED_NODES, parse_preference), (names.SPREAD_GROUP, parse_spread_group)):
        try:
            if key in annotations:
                parse(annotations[key])
        except SpecError as error:
            said.append(str(error))
    return tuple(said)


def labelled_weight(labels: Mapping[str, str]) -> int | None:
    """How many VIPs a Node has beside the others, as its label says; None where it says nothing that can be read.

    0: none, as long as others can have them.
    """
    text = labels.get(names.NODE_WEIGHT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MOST_WEIGHT else None


def parse_weight(value: object, path: str) -> int:
    """The same of an LBNodeAgent, for its nodes without such a label. Raises SpecError with one sentence."""
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_WEIGHT:
        raise SpecError(f"{path} {value} is not a number from 0 to {MOST_WEIGHT}")
    return value
