"""Whether two sets of members can live in one cluster: every spoken version must be understood by all who live.

Pure; owns the rule only (memberlist `verifyProtocol`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memberlist.members import Record
from memberlist.messages import NodeState, State

TRIPLES = (("protocol", 0), ("delegate protocol", 3))


def incompatible(received: Sequence[NodeState], known: Iterable[Record]) -> str | None:
    """A sentence on the first member that doesn't fit, or None if all fit together."""
    everyone: list[NodeState | Record] = [*received, *known]
    for word, at in TRIPLES:
        lowest, highest = 0, 255
        for node in everyone:
            if node.state is State.ALIVE and len(node.versions) == 6:
                lowest = max(lowest, node.versions[at])
                highest = min(highest, node.versions[at + 1])
        for node in everyone:
            spoken = node.versions[at + 2] if len(node.versions) == 6 else 0
            if not lowest <= spoken <= highest:
                return f"{node.name} speaks {word} {spoken}, but the live members understand {lowest} to {highest}"
    return None
