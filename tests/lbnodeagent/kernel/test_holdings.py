"""On a kernel without marks an address is ours if it's held or labelled so, whatever ends when."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lbnodeagent.errors import AddressTaken, KernelError, LedgerError
from lbnodeagent.kernel.holdings import (
    Entry,
    Holdings,
    Life,
    decode,
    encode,
    is_label,
    keeps_marks,
    label,
)
from lbnodeagent.tables import AddressKey, IfIndex, Place, PresentAddress, Remove, Spot
from purelb.addresses import IPAddress
from purelb.nodeagents import LOCAL_ADDRESSING
from tests.lbnodeagent.scenes import ETH0, VIP, VIP6

LIFE = Life("6d1f0c8e-0000-4000-8000-000000000001", "w11")
ENTRY = Entry(ETH0, "eth0", VIP, 16)

names = st.text("abcdefgh0123456789.-_@", min_size=1, max_size=15)
entries = st.builds(
    Entry,
    st.integers(1, 2**31 - 1).map(IfIndex),
    names,
    st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)),
    st.integers(0, 32),
)


# --- the text --------------------------------------------------------------------------------------------------------


@given(st.lists(entries, max_size=20))
def test_what_is_written_is_read(ours: list[Entry]) -> None:
    assert decode(encode(LIFE, ours)) == (LIFE, tuple(ours))


@given(st.one_of(st.text(), st.lists(entries, max_size=3).flatmap(lambda ours: cut(encode(LIFE, ours)))))
def test_garbage_and_half_a_ledger_raise_a_ledger_error_and_nothing_else(text: str) -> None:
    with pytest.raises(LedgerError):
        decode(text)


def cut(text: str) -> st.SearchStrategy[str]:
    """A part of it from its beginning that ends within a line."""
    return st.integers(0, len(text) - 1).map(lambda end: text[:end].rstrip("\n"))


@pytest.mark.parametrize(
    "line", ["0 eth0 10.0.0.1/32", "2 eth0 10.0.0.1/33", "2 eth0 10.0.0.999/8", "2 10.0.0.1/8", "2 eth0 fe80::1%2/64"]
)
def test_one_broken_line_breaks_all_of_it(line: str) -> None:
    with pytest.raises(LedgerError, match="line 5 is broken"):
        decode(encode(LIFE, [ENTRY]) + line + "\n")


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interface", "expected"),
    [("eth0", "eth0:purelb"), ("kube-lb0", "kube-lb0:purelb"), ("enp0s31f6", "enp0s31f6:purel"), ("enp130s0f0", None)],
)
def test_a_label_begins_with_the_interfaces_name_and_fits_into_15_characters(
    interface: str, expected: str | None
) -> None:
    if expected is None:
        expected = f"{interface}:pure"

    assert label(interface) == expected
    assert is_label(expected)


def test_a_long_name_leaves_no_room_for_a_label() -> None:
    assert label("enp130s0f0n1") is None
    assert label("enx001122334455") is None


@pytest.mark.parametrize("text", ["eth0", "purelb", "eth0:1", "eth0:pu", "eth0:purelbs", "eth0:", ""])
def test_other_labels_are_not_ours(text: str) -> None:
    assert not is_label(text)


@given(names)
def test_every_label_that_we_give_is_ours_and_is_no_interfaces_name_alone(interface: str) -> None:
    given_label = label(interface)

    assert given_label is None or (
        is_label(given_label) and given_label.startswith(f"{interface}:") and len(given_label) <= 15
    )


def test_marks_are_kept_from_linux_5_18_on() -> None:
    assert [keeps_marks(one) for one in ("5.10.0-27-amd64", "5.17.15", "5.18.0", "6.1.176", "garbage")] == [
        False,
        False,
        True,
        True,
        False,
    ]


# --- the rule --------------------------------------------------------------------------------------------------------


def place(vip: IPAddress = VIP, *, is_renewal: bool = False) -> Place:
    return Place(vip, Spot(ETH0, "eth0", 16, True, LOCAL_ADDRESSING), is_renewal)


def remove(vip: IPAddress = VIP) -> Remove:
    return Remove(vip, ETH0, "eth0", 16)


PLACED = PresentAddress(ETH0, VIP, 16, is_ours=True)


def test_an_address_is_ours_from_before_it_is_placed_until_it_is_removed() -> None:
    holdings = Holdings()

    assert holdings.expect([place()])
    assert holdings.claims(ENTRY.key, None)
    assert not holdings.conclude([place()], [PLACED])
    assert not holdings.expect([place(is_renewal=True), remove()])
    assert holdings.conclude([remove()], [None])
    assert not holdings.claims(ENTRY.key, None)


def test_one_that_somebody_else_has_is_not() -> None:
    holdings = Holdings()
    holdings.expect([place()])
    holdings.conclude([place()], [AddressTaken("adding", errno.EEXIST)])

    assert not holdings.claims(ENTRY.key, None)


def test_one_of_ours_that_is_placed_once_more_stays_ours_though_the_kernel_says_that_it_is_there() -> None:
    """Its notification was overtaken, so that the planner didn't know of it."""
    holdings = Holdings([ENTRY])

    holdings.expect([place()])
    holdings.conclude([place()], [AddressTaken("adding", errno.EEXIST)])

    assert holdings.claims(ENTRY.key, None)


def test_what_was_expected_and_taken_is_not_ours_at_the_next_try_either() -> None:
    holdings = Holdings()
    for _ in range(2):
        holdings.expect([place()])
        holdings.conclude([place()], [AddressTaken("adding", errno.EEXIST)])

    assert not holdings.claims(ENTRY.key, None)


def test_one_whose_answer_was_lost_is_until_it_is_known_to_be_away() -> None:
    holdings = Holdings()
    holdings.expect([place()])
    holdings.conclude([place()], [KernelError("adding", errno.ETIMEDOUT)])

    assert holdings.claims(ENTRY.key, None)
    assert holdings.keep([])
    assert not holdings.claims(ENTRY.key, None)


def test_one_that_a_sweep_has_not_heard_of_is_ours_until_the_next_one() -> None:
    """The kernel has it, its answer was lost, and its notification waits to be read."""
    holdings = Holdings()
    holdings.expect([place()])
    holdings.conclude([place()], [KernelError("adding", errno.ETIMEDOUT)])

    assert not holdings.swept([])
    assert holdings.claims(ENTRY.key, None)
    assert not holdings.swept([ENTRY.key])
    assert not holdings.swept([])
    assert holdings.swept([])
    assert not holdings.claims(ENTRY.key, None)


def test_one_that_is_placed_between_two_sweeps_is_absent_in_one_only() -> None:
    holdings = Holdings([ENTRY])
    holdings.swept([])
    holdings.expect([place()])

    assert not holdings.swept([])
    assert holdings.claims(ENTRY.key, None)


def test_one_that_is_taken_away_and_placed_in_one_go_stays_ours() -> None:
    holdings = Holdings([ENTRY])
    changes: list[Place | Remove] = [remove(), place(is_renewal=True)]

    holdings.expect(changes)
    holdings.conclude(changes, [None, PLACED])

    assert holdings.claims(ENTRY.key, None)


def test_one_that_the_kernel_would_not_remove_stays_ours() -> None:
    holdings = Holdings([ENTRY])

    assert not holdings.conclude([remove()], [KernelError("removing", errno.EPERM)])
    assert holdings.claims(ENTRY.key, None)


def test_the_same_address_elsewhere_or_with_another_prefix_is_not_ours() -> None:
    holdings = Holdings([ENTRY])

    assert not holdings.claims((IfIndex(9), VIP, 16), None)
    assert not holdings.claims((ETH0, VIP, 32), None)
    assert not holdings.claims((ETH0, VIP6, 16), "eth0")


def test_a_label_of_ours_is_enough() -> None:
    assert Holdings().claims(ENTRY.key, "eth0:purelb")


# --- a law -----------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """A kernel, and what a ledger there says."""

    addresses: dict[AddressKey, str] = field(default_factory=dict)
    """Who put it there."""
    written: tuple[Entry, ...] = ()


VIPS = [ip_address(f"fd00::{number}") for number in range(1, 4)]


class Agents(RuleBasedStateMachine):
    """One agent after the other, killed at any moment; others put addresses there while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Node()
        self.holdings = Holdings()

    @rule(vip=st.sampled_from(VIPS), dies=st.sampled_from(["never", "before", "after"]))
    def the_agent_places(self, vip: IPAddress, dies: str) -> None:
        change, key = place(vip), (ETH0, vip, 16)
        if key in self.node.addresses:
            return  # the planner sees it
        if self.holdings.expect([change]):
            self.write()
        if dies != "before":
            self.node.addresses[key] = "ours"
        if dies != "never":
            self.another_agent_starts()
        elif self.holdings.conclude([change], [PresentAddress(ETH0, vip, 16, is_ours=True)]):
            self.write()

    @rule(vip=st.sampled_from(VIPS))
    def the_agent_is_overtaken(self, vip: IPAddress) -> None:
        change, key = place(vip), (ETH0, vip, 16)
        if key in self.node.addresses:
            return
        self.holdings.expect([change])
        self.write()
        self.node.addresses[key] = "others'"
        self.holdings.conclude([change], [AddressTaken("adding", errno.EEXIST)])
        self.write()

    @rule(vip=st.sampled_from(VIPS), dies=st.booleans())
    def the_agent_removes(self, vip: IPAddress, dies: bool) -> None:
        key = (ETH0, vip, 16)
        if self.node.addresses.get(key) != "ours":
            return
        del self.node.addresses[key]
        if dies:
            self.another_agent_starts()
        elif self.holdings.conclude([remove(vip)], [None]):
            self.write()

    @rule(vip=st.sampled_from(VIPS))
    def somebody_else_places(self, vip: IPAddress) -> None:
        if not self.holdings.claims((ETH0, vip, 16), None):
            self.node.addresses.setdefault((ETH0, vip, 16), "others'")

    @rule(vip=st.sampled_from(VIPS))
    def somebody_takes_away(self, vip: IPAddress) -> None:
        self.node.addresses.pop((ETH0, vip, 16), None)
        if self.holdings.keep(self.node.addresses):
            self.write()

    @rule()
    def the_node_reboots(self) -> None:
        self.node = Node()
        self.holdings = Holdings()

    @precondition(lambda self: self.node.written)
    @rule()
    def another_agent_starts(self) -> None:
        self.holdings = Holdings(decode(encode(LIFE, self.node.written))[1])
        if self.holdings.keep(self.node.addresses):
            self.write()

    def write(self) -> None:
        self.node.written = tuple(self.holdings.entries)

    @invariant()
    def our_addresses_are_ours_and_nobody_elses_are(self) -> None:
        for key, whose in self.node.addresses.items():
            assert self.holdings.claims(key, None) == (whose == "ours")
            assert Holdings(self.node.written).claims(key, None) == (whose == "ours")


TestAgents = Agents.TestCase
