"""Who has an address when its node dies, by the agents' own rule (purelb/planned.py). Pure.

It is what the agents do at once; what the allocator plans after that, to have all even again, isn't foreseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from purelb.addresses import IPAddress
from purelb.membership import MemberNode
from purelb.planned import PlannedElection, stand


class Terms(NamedTuple):
    """Who may have an address."""

    only: frozenset[str] | None = None
    preferred: frozenset[str] | None = None
    plan: tuple[str, ...] = ()


class Forecast:
    """Of one moment: the nodes that take part."""

    def __init__(self, members: Mapping[str, MemberNode]) -> None:
        self._members = members
        self._election = PlannedElection()
        for node in members.values():
            stand(self._election, node)

    def heir(self, address: IPAddress, terms: Terms, node: str) -> str | None:
        """Who has it when ``node`` dies; None: nobody."""
        # One address at a time: a node that goes and comes back costs a table of all of them one hash for each.
        self._election.set_vip(address, terms.only, terms.preferred, terms.plan)
        self._election.remove_candidate(node)
        heir = self._election.owner(address)
        if node in self._members:
            stand(self._election, self._members[node])
        self._election.remove_vip(address)
        return heir
