"""How each VIP stands on this node after a pass: reported outward when it changes, tried again when it failed. Pure.

Reports are held until ``take``: writing them to the API takes the interpreter from the data plane, so that among many
VIPs of a dead node the last ones would wait for what is told of the first ones. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lbnodeagent.dataplane.planner import Blocked
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gate.failures import Failure
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import FOREVER, Action, Announcement, Outcome, Place, Refused, Remove
from purelb.addresses import IPAddress

RETRY: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds until what the kernel refused is tried again; the last value repeats."""


class Statuses:
    """Knows what was last reported of each VIP."""

    def __init__(self, present: Present, candidacy: Candidacy) -> None:
        self._present = present
        self._candidacy = candidacy
        self._adopted: set[IPAddress] = set()
        self._reported: dict[IPAddress, Announcement] = {}
        self._unsent: dict[IPAddress, Announcement] = {}
        self._attempts: dict[IPAddress, int] = {}
        self._retry_at = FOREVER

    @property
    def deadline(self) -> float | None:
        """When ``due`` has VIPs."""
        return self._retry_at if self._retry_at != FOREVER else None

    @property
    def has_unsent(self) -> bool:
        """Whether ``take`` has something to tell."""
        return bool(self._unsent)

    def take(self) -> list[Announcement]:
        """What was noted since the last time."""
        unsent, self._unsent = self._unsent, {}
        return list(unsent.values())

    def repeat(self) -> None:
        """Tell everything once more, to who wasn't there before: nothing of it is fresh."""
        for vip, announcement in self._reported.items():
            self._unsent.setdefault(vip, replace(announcement, is_fresh=False))

    def adopt(self, vip: IPAddress) -> None:
        """An earlier run placed it: nothing to tell the user."""
        self._adopted.add(vip)

    def due(self, now: float) -> set[IPAddress]:
        """The VIPs to try again now."""
        if now < self._retry_at:
            return set()
        self._retry_at = FOREVER
        return set(self._attempts)

    def note(
        self,
        vips: Iterable[IPAddress],
        actions: Iterable[Action],
        blocked: Iterable[Blocked],
        outcomes: Iterable[Outcome],
        dummy: str,
        now: float,
    ) -> None:
        """A pass over ``vips`` is done."""
        self._adopted -= {action.vip for action in actions if isinstance(action, Place) and not action.is_renewal}
        errors = {item.vip: (item.interface, item.reason) for item in blocked}
        still_here: set[IPAddress] = set()
        for outcome in outcomes:
            match outcome:
                case Refused(Place(vip, spot), reason):
                    errors[vip] = (spot.interface, reason)
                case Refused(Remove(vip)):
                    still_here.add(vip)
                case _:
                    pass
        for vip in vips:
            if vip in errors or vip in still_here:
                attempt = self._attempts[vip] = self._attempts.get(vip, 0) + 1
                self._retry_at = min(self._retry_at, now + RETRY[min(attempt, len(RETRY)) - 1])
            else:
                self._attempts.pop(vip, None)
            self._report(self._status_of(vip, errors.get(vip), dummy))

    def _report(self, announcement: Announcement) -> None:
        before = self._reported.get(announcement.vip)
        if before is not None and replace(before, is_fresh=announcement.is_fresh) == announcement:
            return
        self._reported[announcement.vip] = announcement
        self._unsent[announcement.vip] = announcement

    def forget(self, vips: Iterable[IPAddress]) -> None:
        """Nobody wants these any more; one that is still here is yet to be reported."""
        for vip in vips:
            if not self._present.ours(vip):
                self._reported.pop(vip, None)
                self._attempts.pop(vip, None)
                self._adopted.discard(vip)

    def _status_of(self, vip: IPAddress, error: tuple[str, str] | None, dummy: str) -> Announcement:
        if error is not None:
            return Announcement(vip, "failed", interface=error[0], error=error[1])
        owner = self._candidacy.owner(vip)
        successor = owner if not self._candidacy.is_owner(vip) else None
        for there in self._present.ours(vip):
            link = self._present.links.get(there.index)
            if link is not None and there.dad == "done":
                is_fresh = vip not in self._adopted
                is_local = link.name != dummy
                failing = self._candidacy.failing if is_local and successor is None else None
                despite = failing.clause if failing not in (None, Failure.UNSEEN) else ""
                return Announcement(vip, "announcing", link.name, is_local, is_fresh, "", successor, despite)
        return Announcement(vip, "withdrawn", successor=successor)
