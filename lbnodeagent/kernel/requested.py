"""What was asked of the kernel and isn't answered yet, and what its answers make of ``present``. Pure.

What is to go is forgotten at once: the kernel's notification can overtake its answer, and would look like somebody
else's doing. What comes is noted with the answer, without waiting for its notification.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Action, DeleteDummy, Done, Outcome, Place, PresentAddress, Refused, Remove


class Requested:
    """``begin`` before the kernel is asked, ``end`` with its answers."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._dropped: dict[Action, list[PresentAddress]] = {}

    def begin(self, actions: Iterable[Action]) -> None:
        """The kernel is about to be asked for these."""
        for action in actions:
            match action:
                case Remove(vip, index, _, prefix_length):
                    there = self._present.drop_address(index, vip, prefix_length)
                    self._dropped[action] = [there] if there is not None else []
                case DeleteDummy(index):
                    self._dropped[action] = [there for there in self._present.all() if there.index == index]
                    for there in self._dropped[action]:
                        self._present.drop_address(index, there.address, there.prefix_length)
                case _:
                    pass

    def end(self, outcomes: Iterable[Outcome]) -> None:
        """The kernel has answered."""
        for outcome in outcomes:
            match outcome:
                case Done(Place(), PresentAddress() as there):
                    self._present.set_address(there)
                case Done(DeleteDummy(index)):
                    self._present.drop_link(index)
                case Refused(action):
                    for there in self._dropped.get(action, ()):
                        self._present.set_address(there)
                case Done():
                    pass
        self._dropped.clear()
