"""What is wanted, what an earlier run left, and which of it nobody has had yet."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent.candidacy import Candidacy
from lbnodeagent.firstplacements import FirstPlacements
from lbnodeagent.peers import Peers
from lbnodeagent.wants import Wants
from memberlist import Config
from tests.lbnodeagent.scenes import ETH0, VIP, VIP6, placed, wanted


def wants() -> tuple[Wants, Candidacy, FirstPlacements]:
    first = FirstPlacements()
    candidacy = Candidacy("w11", Peers("w11", "127.0.0.1", 7934, Config.fast()))
    return Wants(candidacy, first), candidacy, first


def test_what_an_earlier_run_left_counts_as_wanted_until_all_is_known() -> None:
    table, _, _ = wants()
    table.adopt(placed(ETH0, f"{VIP}/16"))
    table.adopt(placed(ETH0, f"{VIP6}/64"))
    table.change(VIP6, wanted(VIP6))

    assert set(table) == {VIP, VIP6}
    table.synced()

    assert set(table) == {VIP6}


def test_a_vip_of_a_service_made_meanwhile_is_new() -> None:
    table, candidacy, first = wants()
    table.change(VIP6, wanted(VIP6))
    assert not first.is_new(VIP6)  # it was there before this agent
    table.change(VIP6, None)
    candidacy.is_synced = True

    table.change(VIP6, wanted(VIP6))

    assert first.is_new(VIP6)


def test_a_change_of_what_is_wanted_makes_nothing_new() -> None:
    table, candidacy, first = wants()
    table.change(VIP6, wanted(VIP6))
    candidacy.is_synced = True

    table.change(VIP6, wanted(VIP6, aggregation=128))

    assert not first.is_new(VIP6)


def test_a_group_that_skips_detection_makes_nothing_new() -> None:
    table, candidacy, first = wants()
    candidacy.is_synced = True

    table.change(VIP6, replace(wanted(VIP6), skips_dad=True))

    assert not first.is_new(VIP6)


def test_a_new_vip_that_is_no_longer_wanted_is_forgotten() -> None:
    table, candidacy, first = wants()
    candidacy.is_synced = True
    table.change(VIP6, wanted(VIP6))

    table.change(VIP6, None)

    assert not first.is_new(VIP6)
    assert VIP6 not in table
