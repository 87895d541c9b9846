"""The announcing annotations: two forms, many writers, no stale name."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from lbnodeagent.kubernetes.annotation import Form, View, named_places, revise, taken_over
from purelb.addresses import IPAddress

A, B, C = (ip_address(f"10.31.188.{number}") for number in (64, 65, 100))
FORMS: tuple[Form, ...] = ("v1", "v2")


def view(*here: IPAddress, node: str = "w11", ownerless: Iterable[IPAddress] = (), dead: Iterable[str] = ()) -> View:
    return View(node, dict.fromkeys(here, "eth0"), frozenset(ownerless), frozenset(dead).__contains__)


def test_the_owner_writes_the_form_that_is_set() -> None:
    assert revise(None, [A], view(A), "v1") == "w11,eth0"
    assert revise(None, [A], view(A), "v2") == "w11,eth0,10.31.188.64"


def test_the_owner_changes_the_form_of_a_value_that_is_right_otherwise() -> None:
    assert revise("w11,eth0", [A], view(A), "v2") == "w11,eth0,10.31.188.64"
    assert revise("w11,eth0,10.31.188.64", [A], view(A), "v1") == "w11,eth0"


@pytest.mark.parametrize("form", FORMS)
def test_what_another_node_wrote_stays_in_its_form(form: Form) -> None:
    for value in ("w12,eth0", "w12,eth0,10.31.188.64", None):
        assert revise(value, [A], view(), form) == value


@pytest.mark.parametrize("form", FORMS)
def test_several_addresses_of_a_family_have_an_entry_each_sorted(form: Form) -> None:
    first = revise(None, [C, A], view(C), form)
    both = revise(first, [C, A], view(A, node="w12"), form)

    assert first == "w11,eth0,10.31.188.100"
    assert both == "w12,eth0,10.31.188.64 w11,eth0,10.31.188.100"


def test_a_winner_replaces_the_entry_of_its_address_only() -> None:
    value = "w12,eth0,10.31.188.64 m1,eth0,10.31.188.65"

    assert revise(value, [A, B], view(A), "v2") == "w11,eth0,10.31.188.64 m1,eth0,10.31.188.65"


def test_a_winner_drops_the_entries_of_addresses_that_the_service_no_longer_has() -> None:
    assert revise("w11,eth0,10.31.188.64 m1,eth0,10.31.188.100", [A], view(A), "v2") == "w11,eth0,10.31.188.64"


def test_who_announces_no_more_takes_its_name_away_unless_a_successor_will() -> None:
    assert revise("w11,eth0", [A], view(ownerless=[A]), "v1") is None
    assert revise("w11,eth0", [A], view(), "v1") == "w11,eth0"
    two = "w11,eth0,10.31.188.64 m1,eth0,10.31.188.65"
    assert revise(two, [A, B], view(ownerless=[A]), "v2") == "m1,eth0,10.31.188.65"


def test_without_an_address_every_node_takes_its_own_name_away() -> None:
    assert revise("w11,eth0", [], view(), "v1") is None
    assert revise("w11,eth0,10.31.188.64 m1,eth0,10.31.188.65", [], view(), "v2") == "m1,eth0,10.31.188.65"


def test_the_name_of_a_dead_node_goes_where_nobody_takes_over() -> None:
    assert revise("w12,eth0", [A], view(ownerless=[A], dead=["w12"]), "v1") is None
    assert revise("w12,eth0", [A], view(ownerless=[A]), "v1") == "w12,eth0"
    assert revise("w12,eth0", [A], view(dead=["w12"]), "v1") == "w12,eth0"
    assert revise("w12,eth0", [], view(dead=["w12"]), "v1") is None


def test_whom_an_address_was_taken_from_is_known() -> None:
    assert taken_over("w12,eth0", "w11,eth0", [A], "w11") == {A: "w12"}
    assert taken_over("w11,eth0", "w11,eth0,10.31.188.64", [A], "w11") == {}
    assert taken_over(None, "w11,eth0", [A], "w11") == {}
    before = "w12,eth0,10.31.188.64 m1,eth0,10.31.188.65"
    assert taken_over(before, "w11,eth0,10.31.188.64 m1,eth0,10.31.188.65", [A, B], "w11") == {A: "w12"}


def test_what_the_annotation_says_of_a_node_is_known() -> None:
    assert named_places("w11,eth0", [A], "w11") == {A: "eth0"}
    assert named_places("m1,eth0,10.31.188.65 w11,eth1,10.31.188.64", [A, B], "w11") == {A: "eth1"}
    assert named_places("m1,eth0", [A], "w11") == {}


def test_what_a_tenant_writes_there_goes_when_the_owner_writes() -> None:
    flood = " ".join(f"ghost-{number},eth0,10.9.{number >> 8}.{number & 255}" for number in range(5000))

    assert revise(flood, [A], view(A), "v1") == "w11,eth0"
