"""What becomes of a claim about a member: one table, read by membership.py and drawn by docs/drawings.

Owns the rules of SWIM section 4.2 as memberlist has them (`state.go`: aliveNode, suspectNode, deadNode), and nothing
else: no member, no time, no byte.  A claim is judged by three things, and they are the table's axes:

- how its subject stands with us (`Standing`); one's own name has rows of its own, as nobody else may speak for us;
- what is said of it (`Says`), and whether we say it ourselves;
- how old it is (`Age`): the claim's incarnation beside the one that we know.  Only a member itself raises its
  incarnation, so a newer claim can only be true or forged, and an older one was answered before.

What goes beyond that isn't a matter of state and stays where it is done: addresses and versions that can't be meant,
the application's veto, how many members we remember, and how many confirmations a suspicion takes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from memberlist.messages import State


class Standing(enum.Enum):
    """The subject of a claim, before it is heard."""

    UNKNOWN = "unknown"
    """Never heard of, or forgotten; counts as incarnation 0."""
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LONG_DEAD = "long dead"
    """For more than `dead_node_reclaim_time`: another machine may have its name."""
    LEFT = "left"
    OURSELVES = "ourselves"
    LEAVING = "ourselves, leaving"


class Says(enum.Enum):
    """What is claimed of the subject."""

    ALIVE = "alive"
    """At the address that we know; about ourselves: in our own words."""
    ALTERED = "alive, in other words"
    """About ourselves only: our metadata or versions aren't what we said."""
    ELSEWHERE = "alive, elsewhere"
    """At another address than the one that we know."""
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"
    """Dead, by its own word."""
    OUR_ALIVE = "alive, says ourselves"
    """At our start, and with new metadata."""
    OUR_LEFT = "left, says ourselves"


class Age(enum.IntEnum):
    """The claim's incarnation beside the one that we know; an index of the table's cells."""

    OLDER = 0
    SAME = 1
    NEWER = 2


class Verdict(enum.Enum):
    """What is done about a claim; all but the first four believe it and pass it on."""

    IGNORE = "ignore"
    CONFLICT = "conflict"
    """Two machines have one name: tell the application, believe neither."""
    REFUTE = "refute"
    """Contradict it with a higher incarnation of ours."""
    REMIND = "remind"
    """It was refuted before, but somebody missed that: say it again.  (memberlist stays silent here, and who missed it
    learns it from the next push/pull.)"""
    JOIN = "join"
    UPDATE = "update"
    """It was alive and is: take over what it says of itself."""
    CLEAR = "clear"
    """A suspicion is refuted."""
    SUSPECT = "suspect"
    CONFIRM = "confirm"
    """One more witness for a suspicion."""
    FAIL = "fail"
    LEAVE = "leave"

    @property
    def state(self) -> State | None:
        """What the subject is after it; None: as before."""
        return _AFTERWARDS.get(self)


_AFTERWARDS = {
    Verdict.JOIN: State.ALIVE,
    Verdict.UPDATE: State.ALIVE,
    Verdict.CLEAR: State.ALIVE,
    Verdict.SUSPECT: State.SUSPECT,
    Verdict.CONFIRM: State.SUSPECT,
    Verdict.FAIL: State.DEAD,
    Verdict.LEAVE: State.LEFT,
}

Row = Mapping[Says, tuple[Verdict, Verdict, Verdict]]
"""By what is said: the verdict on an older claim, one of the same incarnation, and a newer one."""

_NEVER = (Verdict.IGNORE, Verdict.IGNORE, Verdict.IGNORE)

_DEAD: Row = {
    Says.ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.JOIN),
    Says.ELSEWHERE: (Verdict.CONFLICT, Verdict.CONFLICT, Verdict.CONFLICT),
    Says.SUSPECT: _NEVER,
    Says.DEAD: _NEVER,
    Says.LEFT: _NEVER,  # and who left doesn't become dead
}
_FREE: Row = {**_DEAD, Says.ELSEWHERE: (Verdict.JOIN, Verdict.JOIN, Verdict.JOIN)}
"""The name may begin anew on another machine, whatever its incarnation."""

TABLE: Mapping[Standing, Row] = MappingProxyType(
    {
        Standing.UNKNOWN: {
            Says.ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.JOIN),
            Says.SUSPECT: _NEVER,
            Says.DEAD: _NEVER,
            Says.LEFT: _NEVER,
            Says.OUR_ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.JOIN),
        },
        Standing.ALIVE: {
            Says.ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.UPDATE),
            Says.ELSEWHERE: (Verdict.CONFLICT, Verdict.CONFLICT, Verdict.CONFLICT),
            Says.SUSPECT: (Verdict.IGNORE, Verdict.SUSPECT, Verdict.SUSPECT),
            Says.DEAD: (Verdict.IGNORE, Verdict.FAIL, Verdict.FAIL),
            Says.LEFT: (Verdict.IGNORE, Verdict.LEAVE, Verdict.LEAVE),
        },
        Standing.SUSPECT: {
            Says.ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.CLEAR),
            Says.ELSEWHERE: (Verdict.CONFLICT, Verdict.CONFLICT, Verdict.CONFLICT),
            Says.SUSPECT: (Verdict.IGNORE, Verdict.CONFIRM, Verdict.CONFIRM),
            Says.DEAD: (Verdict.IGNORE, Verdict.FAIL, Verdict.FAIL),
            Says.LEFT: (Verdict.IGNORE, Verdict.LEAVE, Verdict.LEAVE),
        },
        Standing.DEAD: _DEAD,
        Standing.LONG_DEAD: _FREE,
        Standing.LEFT: _FREE,
        Standing.OURSELVES: {
            Says.ALIVE: (Verdict.IGNORE, Verdict.IGNORE, Verdict.REFUTE),
            Says.ALTERED: (Verdict.IGNORE, Verdict.REFUTE, Verdict.REFUTE),
            Says.ELSEWHERE: (Verdict.CONFLICT, Verdict.CONFLICT, Verdict.CONFLICT),
            Says.SUSPECT: (Verdict.REMIND, Verdict.REFUTE, Verdict.REFUTE),
            Says.DEAD: (Verdict.REMIND, Verdict.REFUTE, Verdict.REFUTE),
            Says.LEFT: (Verdict.REMIND, Verdict.REFUTE, Verdict.REFUTE),
            Says.OUR_ALIVE: (Verdict.IGNORE, Verdict.UPDATE, Verdict.UPDATE),  # same: at the end of 32 bits
            Says.OUR_LEFT: (Verdict.IGNORE, Verdict.LEAVE, Verdict.LEAVE),
        },
        Standing.LEAVING: dict.fromkeys(Says, _NEVER),
    }
)


def age(claimed: int, known: int) -> Age:
    """How a claim's incarnation stands to the one that we know."""
    if claimed == known:
        return Age.SAME
    return Age.NEWER if claimed > known else Age.OLDER


def judge(standing: Standing, says: Says, age: Age) -> Verdict:
    """One cell.  A claim that can't be made (a stranger elsewhere than where we know it) has none: KeyError."""
    return TABLE[standing][says][age]
