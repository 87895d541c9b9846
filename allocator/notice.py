"""What is to be said on an object, as a value. What the sentences are: wording.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to record on a Service or ServiceGroup."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
