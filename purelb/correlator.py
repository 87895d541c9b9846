"""Folds events of one reason on one object, that only differ in their words, into one that counts them. Pure.

As client-go's EventAggregator: what comes after ten different messages within ten minutes is one event, whose text is
the newest message. An object that flaps between nodes then costs the API server ten events, not ten thousand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

DIFFERENT: Final = 10
"""Messages that may stand on their own."""
WINDOW: Final = 600.0
"""Seconds after which it begins anew, and what was said is forgotten."""
REMEMBERED: Final = 4_096
"""Objects and reasons that are kept in mind at most."""
PREFIX: Final = "(combined from similar events): "


class Similar:
    """Remembers what was said lately of what."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, tuple[float, tuple[str, ...]]] = OrderedDict()

    @property
    def remembered(self) -> int:
        """Objects and reasons that are in mind."""
        return len(self._said)

    def is_too_many(self, about: Hashable, message: str, now: float) -> bool:
        """Whether ``message`` is to be folded; ``now`` in monotonic seconds."""
        begun, messages = self._said.get(about, (now, ()))
        if now - begun > WINDOW:
            begun, messages = now, ()
        if message in messages:
            return False
        if len(messages) >= DIFFERENT:
            return True
        self._said[about] = begun, (*messages, message)
        self._said.move_to_end(about)
        self._forget(now)
        return False

    def _forget(self, now: float) -> None:
        """Those of whom nothing was said for long; objects come and go, and there may be many."""
        while len(self._said) > REMEMBERED or now - next(iter(self._said.values()))[0] > WINDOW:
            self._said.popitem(last=False)
