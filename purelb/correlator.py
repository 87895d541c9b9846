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
"""Seconds after which it begins anew."""
REMEMBERED: Final = 4_096
"""Objects and reasons that are kept in mind."""
PREFIX: Final = "(combined from similar events): "


class Similar:
    """Remembers what was said lately of what."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, tuple[float, set[str]]] = OrderedDict()

    def is_too_many(self, about: Hashable, message: str, now: float) -> bool:
        """Whether ``message`` is to be folded; ``now`` in monotonic seconds."""
        begun, messages = self._said.get(about, (now, set()))
        if now - begun > WINDOW:
            begun, messages = now, set()
        if message in messages:
            return False
        if len(messages) >= DIFFERENT:
            return True
        messages.add(message)
        self._said[about] = begun, messages
        self._said.move_to_end(about)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return False
