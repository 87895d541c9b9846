"""One group whose addresses somebody else keeps: what is known of it, and whether it may be asked now. No I/O.

A source that failed is left alone for a while, and one that had nothing left isn't asked for the same at once: who asks
meanwhile gets the same answer. Times are the loop's, in seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from allocator.sources.source import Capacity, Source, SourceError
from purelb.addresses import Family, IPAddress
from purelb.retry import Backoff
from purelb.servicegroups import AddressSource
from purelb.services import ServiceKey

Kind: TypeAlias = tuple[tuple[Family, ...], bool, tuple[IPAddress, ...]]
"""What is asked for: families, whether one of them will do, pinned addresses."""

ASKS: Final = 8
"""Services that one source is asked for at once."""
OUTAGE: Final = Backoff(first=0.5, most=30.0)
"""How long a source that fails is left alone."""
EXHAUSTED: Final = 5.0
"""Seconds for which a source that has nothing left isn't asked for the same again."""
SURVEY: Final = 30.0
"""Seconds between two looks at everything that a source keeps."""
SURVEY_SOON: Final = 3.0
"""Likewise while addresses come and go."""
SURVEY_SHARE: Final = 10
"""A look that takes long is taken as much seldomer: one part in so many of the time."""


@dataclass
class ExternalGroup:
    """A ServiceGroup and its source."""

    group: str
    spec: AddressSource
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKS))
    source: Source | None = None
    """None until it is needed."""
    kept: dict[ServiceKey, set[IPAddress]] = field(default_factory=dict)
    """What it keeps for whom, as far as we know."""
    capacity: Capacity = field(default_factory=Capacity)
    is_stale: bool = True
    """Whether it is to be surveyed soon."""
    disputes: Mapping[ServiceKey, str] = field(default_factory=dict)
    """What the last survey found to be another's."""
    trouble: SourceError | None = None
    """Why it can't be asked."""
    asked_again: float = 0.0
    """When a source with trouble may be asked again."""
    _delays: Iterator[float] = field(default_factory=OUTAGE.delays)
    _empty: dict[Kind, tuple[float, str]] = field(default_factory=dict)
    """By what was asked for in vain: until when that is taken for granted, and the sentence."""
    _is_tried: bool = False
    _begun: float = float("-inf")
    _took: float = 0.0
    _is_surveyed: bool = False

    @contextmanager
    def trying(self, kind: Kind, now: float) -> Iterator[None]:
        """Around an attempt: one that was in trouble is asked by one at a time. Raises SourceError."""
        self.check(kind, now)
        if self.trouble is None:
            yield
            return
        if self._is_tried:
            raise SourceError(str(self.trouble), retry_after=OUTAGE.first)
        self._is_tried = True
        try:
            yield
        finally:
            self._is_tried = False

    def check(self, kind: Kind, now: float) -> None:
        """Answer for a source that was asked just now. Raises SourceError."""
        if self.trouble is not None and now < self.asked_again:
            raise SourceError(str(self.trouble), retry_after=self.asked_again - now)
        until, sentence = self._empty.get(kind, (0.0, ""))
        if now < until:
            raise SourceError(sentence, kind="exhausted", retry_after=until - now)

    def failed(self, error: SourceError, kind: Kind, now: float) -> None:
        """A source gave nothing; says in ``error`` when to ask again."""
        match error.kind:
            case "outage":
                if now >= self.asked_again:  # else another heard the same just now
                    self.asked_again = now + next(self._delays)
                self.asked_again = max(self.asked_again, now + (error.retry_after or 0.0))
                error.retry_after = self.asked_again - now
                self.trouble = error
            case "exhausted":
                error.retry_after = error.retry_after or EXHAUSTED
                self._empty[kind] = now + error.retry_after, str(error)
            case "refused":
                pass

    def recovered(self) -> bool:
        """It answered. Whether there was trouble before."""
        had_trouble, self.trouble = self.trouble is not None, None
        if had_trouble:
            self.asked_again, self._delays = 0.0, OUTAGE.delays()
        return had_trouble

    def has_room(self) -> None:
        """Something was given back."""
        self._empty.clear()

    def begin_survey(self, now: float) -> bool:
        """Whether it is to be looked at now; then ``end_survey`` must follow."""
        pause = max(SURVEY_SOON if self.is_stale else SURVEY, self._took * SURVEY_SHARE)
        due = max(self._begun + pause, self.asked_again if self.trouble is not None else 0.0)
        if self._is_surveyed or now < due:
            return False
        self._begun, self._is_surveyed, self.is_stale = now, True, False
        return True

    def end_survey(self, now: float, *, is_complete: bool) -> None:
        """It was looked at; not completely if it failed."""
        self._took, self._is_surveyed = now - self._begun, False
        self.is_stale = self.is_stale or not is_complete
