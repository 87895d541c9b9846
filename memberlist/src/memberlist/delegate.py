"""What the application may plug in; every hook has a default that does nothing.

Owns the contract only (memberlist's Delegate, AliveDelegate, MergeDelegate and PingDelegate in one).  All hooks are
called synchronously in the event loop: they must be quick, and what they raise ends the member.
"""

from __future__ import annotations

from collections.abc import Sequence

from memberlist.events import Member


class Delegate:
    """Subclass it and override what you need."""

    def local_state(self, join: bool) -> bytes:
        """Bytes to give to the peer of a push/pull, at most 20 MiB."""
        return b""

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        """Bytes that the peer of a push/pull gave, never empty."""

    def ack_payload(self) -> bytes:
        """Bytes to send with every answer to a UDP ping; keep it far below a packet."""
        return b""

    def ping_completed(self, member: Member, seconds: float, payload: bytes) -> None:
        """A direct probe was answered after `seconds`, with the peer's payload."""

    def accepts(self, member: Member) -> bool:
        """Whether a claim that `member` is alive may be believed at all."""
        return True

    def accepts_merge(self, members: Sequence[Member]) -> bool:
        """Whether a peer that knows `members` may join with us (asked for joins only)."""
        return True
