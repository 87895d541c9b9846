"""The laws of IPAM, whatever Services ask for, in whatever order, and however groups change meanwhile."""

from __future__ import annotations

import itertools
import re

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Answer, Decision, Refusal, Request
from purelb.addresses import family_of
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
    namespace=st.sampled_from(["default", "team"]),
    backend=st.sampled_from(["", "", "default/app=web"]),
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
        self.exchanged: set[str] = set()
        """Groups that were taken away or changed while keys were bound to their addresses."""

    @initialize(groups=st.sampled_from(CONFIGURATIONS))
    def start(self, groups: list[ServiceGroup]) -> None:
        self.configure(groups)

    @rule(groups=st.sampled_from(CONFIGURATIONS))
    def configure(self, groups: list[ServiceGroup]) -> None:
        self.exchanged |= {one.name for one in self.groups if one not in groups}
        self.groups = groups
        self.engine.configure(configured(*groups))

    @rule(wish=requests)
    def ask(self, wish: Request) -> None:
        if wish.service in self.wishes:
            return
        self.wishes[wish.service] = wish
        before = self._account()
        answer = self.engine.decide(wish)
        self._note(wish.service, answer)
        assert self.engine.decide(wish) == answer, "the same question has the same answer"
        if isinstance(answer, Refusal):
            assert self._account() == before, "a refusal changes nothing"
            strangers = {str(other) for other in self.wishes if other.namespace != wish.service.namespace}
            assert not strangers & set(re.findall(r"\w+/\w+", f"{answer.message} {answer.advice}"))

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

    def _account(self) -> tuple[object, ...]:
        """Who holds what, and how full the groups are."""
        return tuple(map(self.engine.claim, sorted(self.wishes))), tuple(self.engine.usage())

    @invariant()
    def no_address_is_held_twice_but_by_sharing(self) -> None:
        for (one, first), (other, second) in itertools.combinations(self.given.items(), 2):
            if set(first.addresses) & set(second.addresses):
                terms = self.wishes[one].terms, self.wishes[other].terms
                assert terms[0].key is not None
                assert terms[0].key == terms[1].key
                assert not terms[0].ports & terms[1].ports
                assert terms[0].backend == terms[1].backend
                assert one.namespace == other.namespace

    @invariant()
    def a_sharing_key_is_bound_to_one_address_of_a_group_and_family(self) -> None:
        bound: dict[tuple[object, ...], object] = {}
        for service, decision in self.given.items():
            wish = self.wishes[service]
            for address in decision.addresses if wish.terms.key else ():
                group = next((one.name for one in self.groups if one.pool_of(address) is not None), None)
                binding = (service.namespace, wish.terms.key, group, family_of(address))
                if group is not None and group not in self.exchanged:
                    assert bound.setdefault(binding, address) == address

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


Allocation.TestCase.settings = settings(stateful_step_count=40)
TestAllocation = Allocation.TestCase
