"""What every agent sees of a Service alike, and one of them tells: who that is, and what isn't told yet. Pure.

The one is the election's owner of the Service's name; should it go, the next one tells what it may not have told. What
there is to tell, and in which words, is doubleuse.py's and foreign.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.services import ServiceKey


class OnceTold:
    """``finds`` what there is to tell of a Service, ``members_are`` when that is news. Then ``take``."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._seen: dict[ServiceKey, frozenset[IPAddress]] = {}
        self._untold: set[ServiceKey] = set()
        self._speakers: dict[ServiceKey, str] = {}
        """Whose it was to tell, of what isn't untold."""
        self._members: Collection[str] = ()

    @property
    def seen(self) -> Mapping[ServiceKey, frozenset[IPAddress]]:
        """The addresses of which there is something to tell, or was."""
        return self._seen

    def members_are(self, nodes: Collection[str]) -> None:
        """The nodes that take part in the election; none: this node doesn't know."""
        self._members = nodes
        if nodes:  # what it was to tell it may not have told
            self._untold |= {key for key, speaker in self._speakers.items() if speaker not in nodes}

    def finds(self, key: ServiceKey, addresses: frozenset[IPAddress]) -> frozenset[IPAddress]:
        """Of these addresses of a Service there is something to tell, of no others; which of them are new."""
        fresh = addresses - self._seen.get(key, frozenset())
        if addresses:
            self._seen[key] = addresses
        else:
            self.forget(key)
        if fresh:
            self._untold.add(key)
        return fresh

    def forget(self, key: ServiceKey) -> None:
        """There is nothing to tell of a Service any more."""
        self._seen.pop(key, None)
        self._untold.discard(key)
        self._speakers.pop(key, None)

    def take(self) -> Iterator[ServiceKey]:
        """The Services of which this node is to tell now, each once; none while it isn't known who the agents are."""
        if not self._members:
            return
        untold, self._untold = self._untold, set()
        for key in sorted(untold):
            speaker = owner(self._members, str(key))
            assert speaker is not None, "there are members"
            self._speakers[key] = speaker
            if speaker == self._node:
                yield key
