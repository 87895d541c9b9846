"""What is told of the flows of a move, and when."""

from __future__ import annotations

from lbnodeagent.flows.accounts import SETTLED, Accounts
from lbnodeagent.flows.tables import Account, Server
from tests.lbnodeagent.flows.scenes import W11, W12
from tests.lbnodeagent.scenes import NOW, VIP, VIP6

SERVER, OTHER = Server("w11", W11), Server("w12", W12)


def test_when_the_move_is_over_it_is_told_how_many_flows_outlive_it() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 5, NOW)
    accounts.counts(VIP, SERVER, 7, NOW + 0.2)
    accounts.counts(VIP, SERVER, 6, NOW + 0.4)

    assert accounts.due(NOW + SETTLED - 0.1) == []
    assert accounts.take() == []
    assert accounts.deadline == NOW + SETTLED

    assert accounts.due(NOW + SETTLED) == []
    assert accounts.take() == [Account(VIP, SERVER, "begun", 7, SETTLED)]
    assert accounts.deadline is None
    assert accounts.kept == 7


def test_when_none_is_left_it_is_told_how_long_the_last_one_lasted_and_the_move_is_closed() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 7, NOW)
    accounts.due(NOW + SETTLED)
    accounts.take()

    accounts.counts(VIP, SERVER, 0, NOW + 60)

    assert accounts.due(NOW + 60) == []
    assert accounts.due(NOW + 60 + SETTLED) == [(VIP, "w11")]
    assert accounts.take() == [Account(VIP, SERVER, "ended", 7, 60)]
    assert accounts.deadline is None


def test_flows_that_all_end_at_once_are_told_of_once_alone() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 7, NOW)
    accounts.counts(VIP, SERVER, 0, NOW + 1)

    assert accounts.due(NOW + 1 + SETTLED) == [(VIP, "w11")]
    assert [one.stage for one in accounts.take()] == ["ended"]


def test_what_begins_with_the_last_owner_after_all_others_ended_keeps_the_move_open() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 1, NOW)
    accounts.counts(VIP, SERVER, 0, NOW + 0.2)
    accounts.counts(VIP, SERVER, 1, NOW + 0.4)

    assert accounts.due(NOW + 0.2 + SETTLED) == []
    assert [one.stage for one in accounts.take()] == ["begun"]


def test_what_its_node_takes_with_it_is_lost_and_counted() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 7, NOW)
    accounts.counts(VIP, OTHER, 2, NOW)
    accounts.counts(VIP, SERVER, 3, NOW + 60)

    accounts.lose(VIP, "w11", NOW + 90)
    accounts.lose(VIP, "w13", NOW + 90)

    assert accounts.take() == [Account(VIP, SERVER, "lost", 3, 90)]
    assert (accounts.kept, accounts.lost) == (9, 3)


def test_of_an_address_that_went_on_nothing_is_told() -> None:
    accounts = Accounts()
    accounts.counts(VIP, SERVER, 7, NOW)
    accounts.counts(VIP6, OTHER, 2, NOW)

    accounts.forget(VIP)

    assert accounts.due(NOW + SETTLED) == []
    assert [one.vip for one in accounts.take()] == [VIP6]
