"""Who owns a VIP where the allocator has planned it: the plan first, else the hash rule, kept as things change. Pure.

Owner = of the candidates of the best class that can have the VIP, the first that its plan names; where it names none of
them, the one by the hash rule (election.py). A plan never makes a node a candidate, and never passes over a better one.

All agents must elect the same. So a plan counts only where every candidate reads plans: while one that knows the hash
rule alone (PureLB's own agents, and ours from before) can have the VIP, the hash rule decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purelb.addresses import IPAddress, IPNetwork
from purelb.election import Election
from purelb.membership import MemberNode, Standing

_RANKS: Final = {Standing.SERVING: 0, Standing.EXCLUDED: 1, Standing.FAILING: 2}
"""As the agents rank each other; who starts or leaves is no candidate."""


class PlannedElection:
    """The owners of all VIPs. A change costs what it can alter: beside the hash rule's, the VIPs that name a node.

    Every mutator returns the VIPs whose owner changed.
    """

    def __init__(self) -> None:
        self._hashed = Election()
        self._plans: dict[IPAddress, tuple[str, ...]] = {}
        """Of those VIPs that have one."""
        self._named: dict[str, set[IPAddress]] = {}
        """The VIPs whose plans name a node."""
        self._unaware: dict[str, frozenset[IPNetwork] | None] = {}
        """The candidates that read no plans, with what they reach."""
        self._told: dict[str, tuple[frozenset[IPNetwork] | None, int, bool]] = {}
        """What was last said of each candidate: who asks again and again says mostly the same."""
        self._by_hash: frozenset[IPNetwork] | None = frozenset()
        """Where plans don't count; None: nowhere do they."""
        self._owners: dict[IPAddress, str | None] = {}

    @property
    def candidates(self) -> frozenset[str]:
        return self._hashed.candidates

    def owners(self) -> Mapping[IPAddress, str | None]:
        """A copy: VIP to owner, None where no candidate reaches it."""
        return dict(self._owners)

    def owner(self, vip: IPAddress) -> str | None:
        """The owner; None for a VIP without candidates or one that isn't in the table."""
        return self._owners.get(vip)

    def prefers(self, node: str, vip: IPAddress) -> bool:
        """Whether ``vip`` has no preference, or ``node`` is among the preferred."""
        return self._hashed.prefers(node, vip)

    def set_candidate(
        self, node: str, reach: frozenset[IPNetwork] | None, rank: int = 0, *, reads_plans: bool = True
    ) -> set[IPAddress]:
        """Add a node or change what it reaches (None: any subnet), its rank, and whether it goes by plans."""
        told = reach, rank, reads_plans
        if self._told.get(node) == told:
            return set()
        self._told[node] = told
        affected = self._hashed.set_candidate(node, reach, rank) | self._named.get(node, set())
        if reads_plans:
            self._unaware.pop(node, None)
        else:
            self._unaware[node] = reach
        return self._settle(affected | self._look_who_is_unaware())

    def remove_candidate(self, node: str) -> set[IPAddress]:
        """Forget a node."""
        affected = self._hashed.remove_candidate(node) | self._named.get(node, set())
        self._unaware.pop(node, None)
        self._told.pop(node, None)
        return self._settle(affected | self._look_who_is_unaware())

    def set_vip(
        self,
        vip: IPAddress,
        only: frozenset[str] | None = None,
        preferred: frozenset[str] | None = None,
        plan: tuple[str, ...] = (),
    ) -> bool:
        """Add a VIP, or change its rule. True if its owner changed.

        ``only``: the nodes to which it is confined; ``preferred``: those that come before all others (None: any);
        ``plan``: who should have it, the first of them that can.
        """
        self._hashed.set_vip(vip, only, preferred)
        self._set_plan(vip, plan)
        self._owners.setdefault(vip, None)
        return bool(self._settle({vip}))

    def remove_vip(self, vip: IPAddress) -> None:
        """Forget a VIP."""
        self._hashed.remove_vip(vip)
        self._set_plan(vip, ())
        self._owners.pop(vip, None)

    def _set_plan(self, vip: IPAddress, plan: tuple[str, ...]) -> None:
        before = self._plans.get(vip, ())
        if before == plan:
            return
        for node in before:
            self._named[node].discard(vip)
            if not self._named[node]:
                del self._named[node]
        for node in plan:
            self._named.setdefault(node, set()).add(vip)
        if plan:
            self._plans[vip] = plan
        else:
            del self._plans[vip]

    def _look_who_is_unaware(self) -> set[IPAddress]:
        """Where plans count is to be known anew; the VIPs for which that may be news."""
        reaches = self._unaware.values()
        before, self._by_hash = self._by_hash, None
        if None not in reaches:
            self._by_hash = frozenset[IPNetwork]().union(*(reach for reach in reaches if reach is not None))
        return set() if before == self._by_hash else set(self._plans)

    def _settle(self, vips: set[IPAddress]) -> set[IPAddress]:
        changed = set()
        for vip in vips:
            owner = self._elect(vip)
            if owner != self._owners[vip]:
                self._owners[vip] = owner
                changed.add(vip)
        return changed

    def _elect(self, vip: IPAddress) -> str | None:
        plan = self._plans.get(vip)
        if plan and self._counts_plans(vip):
            best = self._hashed.best_class(vip)
            if best is not None:
                for node in plan:
                    if self._hashed.class_of(node, vip) == best:
                        return node
        return self._hashed.owner(vip)

    def _counts_plans(self, vip: IPAddress) -> bool:
        return self._by_hash is not None and not any(vip in network for network in self._by_hash)


def stand(election: PlannedElection, node: MemberNode) -> None:
    """Have a node of the Membership be a candidate, as its standing says: for whoever foresees what agents elect."""
    if node.standing in _RANKS:
        # An agent of another make doesn't say which subnets it is on: it may be on any.
        reach = node.subnets if node.subnets or node.speaks else None
        election.set_candidate(node.name, reach, _RANKS[node.standing], reads_plans=node.speaks)
