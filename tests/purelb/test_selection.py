"""Which LBNodeAgent applies."""

from __future__ import annotations

from dataclasses import replace

from purelb import names
from purelb.nodeagents import NodeAgentConfig
from purelb.selection import choose_config
from purelb.selectors import Selector

EVERYWHERE = NodeAgentConfig(name="default", namespace="purelb")
RACK_A = replace(EVERYWHERE, name="rack-a", node_selector=Selector((("rack", "In", ("a",)),)))
RACK_B = replace(EVERYWHERE, name="rack-b", node_selector=Selector((("rack", "In", ("b",)),)))


def test_without_any_the_built_in_default_announces() -> None:
    assert choose_config([], {}).config == NodeAgentConfig()


def test_a_specific_one_wins_over_one_for_all_which_is_told_so() -> None:
    choice = choose_config([EVERYWHERE, RACK_A, RACK_B], {"rack": "a"})

    assert choice.config == RACK_A
    assert choice.ignored == (EVERYWHERE,)


def test_a_node_that_none_selects_announces_nothing() -> None:
    assert not choose_config([RACK_A], {"rack": "c"}).config.announces


def test_the_order_of_equals_is_namespace_then_name() -> None:
    other = replace(EVERYWHERE, name="a", namespace="z")

    assert choose_config([other, EVERYWHERE], {}).config == EVERYWHERE


def test_one_without_a_local_block_is_passed_over() -> None:
    silent = replace(RACK_A, announces=False)

    assert choose_config([silent, EVERYWHERE], {"rack": "a"}).config == EVERYWHERE
    assert not choose_config([silent], {"rack": "a"}).config.announces


def test_the_built_in_default_does_not_stand_in_for_one_that_cannot_be_read() -> None:
    assert not choose_config([], {}, is_any_refused=True).config.announces
    assert choose_config([EVERYWHERE], {}, is_any_refused=True).config == EVERYWHERE


def test_a_label_says_what_a_node_weighs_before_its_lbnodeagent_does() -> None:
    heavy = NodeAgentConfig("a", weight=3)

    assert choose_config([heavy], {}).config.weight == 3
    assert choose_config([heavy], {names.NODE_WEIGHT: "5"}).config.weight == 5
    assert choose_config([], {names.NODE_WEIGHT: "5"}).config.weight == 5
    assert choose_config([heavy], {names.NODE_WEIGHT: "heavy"}).config.weight == 3
