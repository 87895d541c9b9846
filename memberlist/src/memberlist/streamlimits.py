"""Whose stream has to go when strangers have opened too many, or sent too much on unfinished ones.

Pure; owns the two limits and who is let in.  Streams of members live for milliseconds, those of somebody who wants to
keep them out as long as they may.  So a new one always gets in, and the oldest one of the address that has the most
must go for it; and of too many bytes the stream that holds the most.  `Id` is the caller's number of a stream.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from memberlist.messages import Address

STREAMS_MAX = 128
"""At once (memberlist `pushPullConcurrent`, which closes the new one instead)."""
BYTES_MAX = 64 << 20
"""That all unfinished streams may hold together."""

Id = int


@dataclass(slots=True)
class _Stream:
    source: Address
    size: int = 0


class StreamLimits:
    """The streams that others opened and that aren't finished."""

    def __init__(self, streams_max: int = STREAMS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._streams_max = streams_max
        self._bytes_max = bytes_max
        self._streams: dict[Id, _Stream] = {}
        self._bytes = 0

    def admit(self, stream: Id, source: Address) -> Id | None:
        """A new stream; the one that must go for it."""
        self._streams[stream] = _Stream(source)
        if len(self._streams) <= self._streams_max:
            return None
        counts = Counter(other.source for other in self._streams.values())
        most = max(counts.values())
        victim = next(other for other, held in self._streams.items() if counts[held.source] == most)
        self.end(victim)
        return victim

    def received(self, stream: Id, size: int) -> Id | None:
        """So many bytes more; the stream that must go for them, perhaps this one."""
        held = self._streams.get(stream)
        if held is None:  # it must go already
            return stream
        held.size += size
        self._bytes += size
        if self._bytes <= self._bytes_max:
            return None
        victim = max(self._streams, key=lambda other: self._streams[other].size)
        self.end(victim)
        return victim

    def end(self, stream: Id) -> None:
        """It is finished, or gone."""
        held = self._streams.pop(stream, None)
        if held is not None:
            self._bytes -= held.size
