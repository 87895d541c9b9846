"""Which Services a command looks at: there may be tens of thousands, and many a question is about one or none. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Which(NamedTuple):
    """Services, by what all of them have."""

    namespace: str | None = None
    """None: any."""
    name: str | None = None
    """None: any."""


EVERY: Final = Which()
_NONE: Final = frozenset({"version", "state", "dashboard", "nodes", "validate"})
_ONE: Final = frozenset({"inspect", "events"})
_NAME: Final = re.compile(r"[a-z0-9.-]+")
"""What a Service may be called, and more: nothing that means something in a selector."""


def needed(command: str, subject: str = "", namespace: str | None = None) -> Which | None:
    """Those without which the question can't be answered; None: it is about no Service."""
    if command in _NONE or (command in _ONE and not subject):
        return None
    if command == "services":
        return Which(namespace)
    if command not in _ONE:
        return EVERY
    said, slash, name = subject.rpartition("/")
    return Which(said if slash else namespace, name) if _NAME.fullmatch(name) else None
