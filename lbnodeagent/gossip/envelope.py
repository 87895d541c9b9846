"""An envelope around what agents say to each other: nothing counts twice, late, or after its sender's life. Pure.

memberlist's encryption says that somebody with the key wrote a packet, not who, when, or for whom: a host without the
key may record it and send it again. Here, not in the library: on memberlist's wire a user message is the application's
business, and who meets Serf or Alertmanager can't put anything around theirs.

An agent draws a **life**, six random bytes, when it starts, and says it in its meta. A message names the lives of its
sender and of its recipient, and a number that the sender counts up. The recipient takes it if

- the sender's life is the one that the gossip knows of that member: earlier lives have no say any more;
- the recipient's life is its own: what was recorded before it started is of no use, so nothing need be remembered
  across a restart;
- the number was not seen, and is not further behind the newest one than the window (RFC 4303, section 3.4.3).

A message that somebody on the path held back altogether, and no copy of which arrived, can still be delivered late: no
number tells that. So what a message says must end with the next own word of its sender (its meta).

Agents from before this send bare messages, and pass over an envelope as over anything that they don't know. So whoever
has no life in its meta is written to without an envelope, and a bare message counts only if its sender has none
(`admits_bare`): once an agent is upgraded, its older recordings are worth nothing. PureLB's own agents send none.
"""

from __future__ import annotations

import enum
import itertools
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NewType

from lbnodeagent.errors import MetaError

Life = NewType("Life", bytes)
"""Six random bytes: one run of one agent."""
LIFE_SIZE: Final = 6
WINDOW: Final = 64
"""So far behind the newest number a message may come: packets overtake each other, but not by so many."""
SENDERS_MAX: Final = 4096
"""Lives whose numbers are remembered; the one not heard of for the longest goes first. Only members begin any."""

_MAGIC: Final = b"PL\x01e"
_HEAD: Final = struct.Struct(f"!{len(_MAGIC)}s{LIFE_SIZE}s{LIFE_SIZE}sQB")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message, as its sender sent it."""

    sender: str
    """Kubernetes node name."""
    life: Life
    """The sender's."""
    audience: Life
    """The recipient's, as the sender knew it."""
    number: int
    payload: bytes


class Ruling(enum.Enum):
    """Whether a message counts, and why not: for a metric."""

    TAKEN = "taken"
    STRANGER = "stranger"
    """Nobody of that name lives, as far as we know, or it has no life in its meta."""
    EARLIER_LIFE = "earlier life"
    """Or a later one that we haven't heard of yet: its sender asks again."""
    OTHER_AUDIENCE = "other audience"
    """Meant for an earlier life of ours, or for somebody else."""
    REPEATED = "repeated"
    LATE = "late"
    """Further behind than the window."""


class Sender:
    """Puts what we say into envelopes, in one run of the agent."""

    def __init__(self, node: str, life: Life) -> None:
        self._name = _encoded(node)
        self._life = _checked(life)
        self._numbers = itertools.count(1)

    def seal(self, payload: bytes, audience: Life) -> bytes:
        """The envelope for the recipient whose meta says `audience`."""
        return (
            _HEAD.pack(_MAGIC, self._life, _checked(audience), next(self._numbers), len(self._name))
            + self._name
            + payload
        )


def opened(data: bytes) -> Envelope | None:
    """None for what is no envelope. Raises MetaError."""
    if data[: len(_MAGIC)] != _MAGIC:
        return None
    try:
        _, life, audience, number, size = _HEAD.unpack_from(data)
        end = _HEAD.size + size
        if not size or len(data) < end:
            raise MetaError("an envelope that ends within its sender's name")
        sender = data[_HEAD.size : end].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise MetaError(f"an envelope that can't be read: {error}") from error
    return Envelope(sender, Life(life), Life(audience), number, data[end:])


@dataclass(slots=True)
class _Window:
    """The newest number, and which of the ones before it were seen: bit n is `newest` - n."""

    newest: int = 0
    seen: int = 1  # number 0 is never sent

    def take(self, number: int) -> Ruling:
        ahead = number - self.newest
        if ahead > 0:
            kept = self.seen << ahead if ahead < WINDOW else 0
            self.seen = (kept | 1) & ((1 << WINDOW) - 1)
            self.newest = number
            return Ruling.TAKEN
        if -ahead >= WINDOW:
            return Ruling.LATE
        bit = 1 << -ahead
        if self.seen & bit:
            return Ruling.REPEATED
        self.seen |= bit
        return Ruling.TAKEN


class Recipient:
    """What this run of the agent has heard, by the senders' lives."""

    def __init__(self, life: Life) -> None:
        self._life = _checked(life)
        self._windows: OrderedDict[tuple[str, Life], _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def rule(self, envelope: Envelope, known: Life | None) -> Ruling:
        """Whether this one counts, which it does once. `known`: the life in the sender's meta, if there is one."""
        if known is None:
            return Ruling.STRANGER
        if envelope.life != known:
            return Ruling.EARLIER_LIFE
        if envelope.audience != self._life:
            return Ruling.OTHER_AUDIENCE
        # Earlier lives stay until they are pushed out: a member that was forgotten could be brought back as it was.
        key = (envelope.sender, envelope.life)
        window = self._windows.setdefault(key, _Window())
        self._windows.move_to_end(key)
        if len(self._windows) > SENDERS_MAX:
            self._windows.popitem(last=False)
        return window.take(envelope.number)


def admits_bare(known: Life | None) -> bool:
    """Whether a message without an envelope counts: only from a sender whose meta has no life."""
    return known is None


def _checked(life: Life) -> Life:
    if len(life) != LIFE_SIZE:
        raise ValueError(f"a life has {LIFE_SIZE} bytes, this one has {len(life)}")
    return life


def _encoded(node: str) -> bytes:
    name = node.encode()
    if not 1 <= len(name) <= 255:
        raise ValueError(f"a node's name has 1 to 255 bytes, this one has {len(name)}")
    return name
