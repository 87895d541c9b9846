"""What goes wrong with an API server, whom it befalls, and how it ends: the rows of the table, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kubedouble.fault import OF_WATCHES

FAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "401": {"kind": "status", "code": 401},
    "403": {"kind": "status", "code": 403},
    "404": {"kind": "status", "code": 404},
    "409": {"kind": "status", "code": 409},
    "410": {"kind": "status", "code": 410},
    "429 with Retry-After": {"kind": "status", "code": 429, "retry_after": 1},
    "500": {"kind": "status", "code": 500},
    "503": {"kind": "status", "code": 503},
    "a quota that is used up": {"kind": "quota"},
    "admission that denies": {"kind": "admission"},
    "an HTML page": {"kind": "html"},
    "a redirection": {"kind": "redirect"},
    "a broken watch line": {"kind": "broken-line"},
    "half a watch line": {"kind": "cut-line"},
    "410 in the stream": {"kind": "expire-watches"},
    "hang": {"kind": "hang"},
    "half-open": {"kind": "half-open"},
    "down": {"kind": "down"},
    "reset": {"kind": "reset"},
}
EVERYTHING: Final = "everything"
"""All verbs at once."""
START: Final = "start"
"""Likewise, and the program starts while it lasts."""
LONG: Final = "everything, for long"
"""Until back-offs are long and a Lease is lost."""
ALL: Final = (EVERYTHING, START, LONG)
MEETS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(OF_WATCHES, frozenset(("watch",))),
    "quota": frozenset(("create", *ALL)),
    "admission": frozenset(("create", "update", "patch", *ALL)),
}
"""The verbs that a kind can befall, where it can't befall all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of one verb."""

    fault: str
    verb: str

    @property
    def options(self) -> dict[str, Any]:
        """What the API double is told."""
        verb = {} if self.verb in ALL else {"verb": self.verb}
        return {**FAULTS[self.fault], **verb}

    def __str__(self) -> str:
        return f"{self.fault} of {self.verb}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a row ended."""

    missing: list[str]
    """What wasn't so within LAW seconds."""
    seconds: float = 0.0
    """From the fault's end until the world was as if it had not been."""


def rows(fault: str, verbs: tuple[str, ...]) -> list[Row]:
    """All rows of one fault."""
    meets = MEETS.get(FAULTS[fault]["kind"])
    return [Row(fault, verb) for verb in verbs if meets is None or verb in meets]
