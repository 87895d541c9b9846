"""What was received and refused: counted always, logged rarely.

Owns the counters of one member and the pace of its warnings, so that a flood of bad packets doesn't become a flood
of log lines.
"""

from __future__ import annotations

import logging
import math
from collections import Counter

from memberlist.errors import LabelMismatch, Unauthentic, WireError
from memberlist.messages import Endpoint

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two log lines on the same kind of bad input."""


class Complaints:
    """`counters` only ever count up."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def about(self, now: float, kind: str, sentence: str, source: Endpoint) -> None:
        """Count it, and log it if nothing of its kind was logged for a while."""
        self.counters[kind] += 1
        if now - self._last.get(kind, -math.inf) >= EVERY:
            self._last[kind] = now
            fields = {"sentence": sentence, "source": str(source.address), "count": self.counters[kind]}
            log.warning(kind, extra=fields)

    def about_bytes(self, now: float, error: WireError, source: Endpoint) -> None:
        """Something that could not be read."""
        match error:
            case LabelMismatch():
                kind = "other label"
            case Unauthentic():
                kind = "not authentic"
            case _:
                kind = "malformed"
        self.about(now, kind, str(error), source)
