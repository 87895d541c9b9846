"""Whether a source outside may be asked now. No I/O.

A source that failed is left alone for a while, and one that had nothing left isn't asked for the same at once: who asks
meanwhile gets the same answer. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from allocator.sources.source import SourceError
from purelb.addresses import Family, IPAddress
from purelb.backoff import Backoff

Kind: TypeAlias = tuple[tuple[Family, ...], bool, tuple[IPAddress, ...]]
"""What is asked for: families, whether one of them will do, pinned addresses."""

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


class Availability:
    """What is known of one source from its answers, and what follows for the next question."""

    def __init__(self) -> None:
        self.trouble: SourceError | None = None
        """Why it can't be asked."""
        self.asked_again = 0.0
        """When a source with trouble may be asked again."""
        self.is_stale = True
        """Whether it is to be surveyed soon."""
        self._delays = OUTAGE.delays()
        self._empty: dict[Kind, tuple[float, str]] = {}
        """By what was asked for in vain: until when that is taken for granted, and the sentence."""
        self._is_tried = False
        self._begun = float("-inf")
        self._took = 0.0
        self._is_surveyed = False

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
                # What users pin is among the kinds: without end, if nothing were forgotten.
                self._empty = {known: empty for known, empty in self._empty.items() if empty[0] > now}
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
