"""The laws of IPAM, whatever Services ask for, in whatever order, and however groups change meanwhile."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Answer, Decision, Refusal, Request
from purelb.addresses import Family, family_of
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceKey
from tests.allocator.builders import configured, entries, group, local, request

SMALL = group("default", local=local("10.0.0.0/30", "fd00::/126"))
GROWN = group("default", local=local("10.0.0.0/29", "fd00::/125"))
SHIFTED = group("default", local=local("10.0.0.2-10.0.0.9"))
RANGES = group("ranges", local={"v4pools": entries("10.2.0.0/31", "10.1.0.0/31"), "balancePools": True})
MULTI = group("multi", remote={"v4pools": entries("10.4.0.0/31", "10.3.0.0/31"), "multiPool": True})
CONFIGURATIONS = [[SMALL], [SMALL, RANGES], [GROWN, RANGES, MULTI], [SHIFTED, MULTI], []]

requests = st.builds(
    request,
    name=st.sampled_from("abcdefghij"),
    group=st.sampled_from([None, "default", "ranges", "multi", "nope"]),
    pinned=st.lists(st.sampled_from(["10.0.0.1", "10.0.0.3", "10.2.0.1", "10.9.9.9"]), max_size=1),
    families=st.sampled_from(["4", "6", "46", "64", ""]),
    share=st.sampled_from([None, None, "web", "mail"]),
    ports=st.lists(st.sampled_from(["TCP/80", "TCP/443", "UDP/80"]), min_size=1, max_size=2, unique=True),
    takes_one_family=st.booleans(),
)


class Allocation(RuleBasedStateMachine):
    """Services come with one wish each, hold it until they go, and groups are exchanged under them."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.groups: list[ServiceGroup] = []
        self.wishes: dict[ServiceKey, Request] = {}
        self.given: dict[ServiceKey, Decision] = {}
        self.refused: set[ServiceKey] = set()

    @initialize(groups=st.sampled_from(CONFIGURATIONS))
    def start(self, groups: list[ServiceGroup]) -> None:
        self.configure(groups)

    @rule(groups=st.sampled_from(CONFIGURATIONS))
    def configure(self, groups: list[ServiceGroup]) -> None:
        self.groups = groups
        self.engine.configure(configured(*groups))

    @rule(wish=requests)
    def ask(self, wish: Request) -> None:
        if wish.service in self.wishes:
            return
        self.wishes[wish.service] = wish
        free_before = self._free()
        answer = self.engine.decide(wish)
        self._note(wish.service, answer)
        if isinstance(answer, Refusal):
            assert self._free() == free_before, "a refusal reserves nothing"

    @precondition(lambda self: self.wishes)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        service = data.draw(st.sampled_from(sorted(self.wishes)))
        self.engine.release(service)
        del self.wishes[service]
        self.given.pop(service, None)
        self.refused.discard(service)

    @rule()
    def wake(self) -> None:
        for service in self.engine.wake():
            assert service in self.refused
            self._note(service, self.engine.decide(self.wishes[service]))

    def _note(self, service: ServiceKey, answer: Answer) -> None:
        if isinstance(answer, Decision):
            self.given[service] = answer
            self.refused.discard(service)
            self._check(self.wishes[service], answer)
        else:
            self.refused.add(service)

    def _check(self, wish: Request, decision: Decision) -> None:
        """A decision gives what was asked for, from the pools that there are."""
        pools = [pool for one in self.groups for pool in one.pools]
        assert all(any(address in pool.range for pool in pools) for address in decision.addresses)
        assert len(set(decision.addresses)) == len(decision.addresses)
        families = [family_of(address) for address in decision.addresses]
        if wish.pinned:
            assert decision.addresses == wish.pinned
        elif wish.families and not wish.takes_one_family and not decision.is_multi_pool:
            assert tuple(families) == wish.families

    def _free(self) -> dict[tuple[str, Family], int]:
        return {(usage.group, usage.family): usage.size - usage.in_use for usage in self.engine.usage()}

    @invariant()
    def no_address_is_held_twice_but_by_sharing(self) -> None:
        for (one, first), (other, second) in itertools.combinations(self.given.items(), 2):
            if set(first.addresses) & set(second.addresses):
                terms = self.wishes[one].terms, self.wishes[other].terms
                assert terms[0].key is not None
                assert terms[0].key == terms[1].key
                assert not terms[0].ports & terms[1].ports

    @invariant()
    def who_was_given_addresses_keeps_them(self) -> None:
        for service, decision in self.given.items():
            claim = self.engine.claim(service)
            assert claim is not None
            assert claim.addresses == decision.addresses

    @invariant()
    def the_account_is_exact(self) -> None:
        held = {address for decision in self.given.values() for address in decision.addresses}
        for usage in self.engine.usage():
            pools = [
                pool
                for one in self.groups
                if one.name == usage.group
                for pool in one.pools
                if pool.family is usage.family
            ]
            assert usage.in_use == sum(any(address in pool.range for pool in pools) for address in held)
        assert self.engine.waiting == len(self.refused)

    @invariant()
    def a_second_engine_that_learns_the_same_state_decides_the_same(self) -> None:
        second = Engine()
        for service in self.given:
            claim = self.engine.claim(service)
            assert claim is not None
            second.restore(claim)
        second.configure(configured(*self.groups))
        probe = request("probe", families="4")

        assert second.decide(probe) == self.engine.decide(probe)
        self.engine.release(probe.service)


Allocation.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAllocation = Allocation.TestCase
