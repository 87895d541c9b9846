"""What is said about where a VIP is to be: what is understood, and the sentences about what isn't."""

from __future__ import annotations

import pytest

from purelb import names
from purelb.errors import SpecError
from purelb.preferences import (
    labelled_weight,
    misread,
    parse_preference,
    parse_rule,
    parse_spread_group,
    parse_weight,
)


def test_preferred_nodes_are_names() -> None:
    preference = parse_preference(" w11, w12.example,")

    assert preference.includes("w11", {})
    assert preference.includes("w12.example", {})
    assert not preference.includes("w13", {"w11": ""})


def test_preferred_nodes_are_a_label_selector() -> None:
    preference = parse_preference("rack=a,disk in (ssd,nvme)")

    assert preference.includes("w13", {"rack": "a", "disk": "ssd"})
    assert not preference.includes("rack", {"rack": "b", "disk": "ssd"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no node"),
        ("W11", "names of nodes, divided by commas, or a label selector such as rack=a"),
        ("w11 w12", '"w11 w12" is neither'),
        ("rack=a b", "is no label selector"),
        (",".join(f"w{number}" for number in range(33)), "more than 32 nodes"),
        ("w" * 1025, "longer than 1024"),
        (",".join(f"!k{number}" for number in range(9)), "more than 8 conditions"),
        (f"rack in ({','.join(f'r{number}' for number in range(33))})", "more than 32 values"),
    ],
)
def test_preferred_nodes_that_cannot_be_read_are_told_of(text: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_preference(text)


def test_only_wishes_that_cannot_be_read_are_told_of() -> None:
    assert misread({names.PREFERRED_NODES: "w11", names.SPREAD_GROUP: "dns"}) == ()
    assert len(misread({names.PREFERRED_NODES: "W11", names.SPREAD_GROUP: "a b"})) == 2


def test_a_spread_group_is_a_name() -> None:
    assert parse_spread_group(" dns.internal ") == "dns.internal"
    with pytest.raises(SpecError, match="is no name"):
        parse_spread_group("a" * 64)


def test_a_rule_is_even_or_hash_or_not_said() -> None:
    assert (parse_rule("even", "x"), parse_rule("hash", "x"), parse_rule(None, "x")) == ("even", "hash", None)
    with pytest.raises(SpecError, match='placement "odd" is neither even nor hash'):
        parse_rule("odd", "placement")


@pytest.mark.parametrize(
    ("text", "weight"), [("3", 3), ("0", 0), ("100", 100), ("101", None), ("-1", None), ("", None)]
)
def test_a_node_s_weight_is_a_label(text: str, weight: int | None) -> None:
    assert labelled_weight({names.NODE_WEIGHT: text}) == weight
    assert labelled_weight({}) is None


@pytest.mark.parametrize("value", [-1, 101, "2", 1.5, True])
def test_a_weight_that_is_none_is_refused(value: object) -> None:
    assert (parse_weight(None, "x"), parse_weight(0, "x"), parse_weight(100, "x")) == (1, 0, 100)
    with pytest.raises(SpecError, match=r"local\.weight .* is not a number from 0 to 100"):
        parse_weight(value, "local.weight")
