"""Only a VIP that nobody has had is looked for on the wire."""

from __future__ import annotations

from lbnodeagent.dataplane.status import RETRY
from lbnodeagent.wire.dad import ANSWERED, PAUSE, WINDOW, DuplicateDetection
from tests.lbnodeagent.scenes import NOW, VIP, VIP6


def test_an_ipv6_vip_is_new_until_somebody_has_it() -> None:
    first = DuplicateDetection()
    assert not first.is_new(VIP6, NOW)

    first.expect(VIP6)
    assert first.is_new(VIP6, NOW)

    first.end(VIP6)
    assert not first.is_new(VIP6, NOW)


def test_an_ipv4_vip_is_for_as_long_as_an_answer_to_the_question_at_its_first_placement_takes() -> None:
    first = DuplicateDetection()
    first.expect(VIP)
    assert first.is_new(VIP, NOW)

    assert first.asks(VIP, NOW)
    assert not first.asks(VIP, NOW + 0.1)
    assert first.is_new(VIP, NOW + 0.2)
    assert not first.is_new(VIP, NOW + WINDOW)


def test_of_an_ipv6_vip_the_kernel_asks_and_of_one_that_moves_nobody() -> None:
    first = DuplicateDetection()
    first.expect(VIP6)

    assert not first.asks(VIP6, NOW)
    assert not first.asks(VIP, NOW)


def test_where_a_router_answers_for_every_address_it_is_not_asked_for_ipv4() -> None:
    first = DuplicateDetection(of_ipv4=False)
    first.expect(VIP)
    first.expect(VIP6)

    assert not first.asks(VIP, NOW)
    assert not first.is_new(VIP, NOW)
    assert first.is_new(VIP6, NOW)


def test_an_ipv4_address_is_left_for_longer_than_it_takes_to_ask_for_it_again() -> None:
    first = DuplicateDetection()
    first.expect(VIP)
    first.asks(VIP, NOW)

    first.failed(VIP, NOW)

    assert RETRY[-1] < ANSWERED
    assert first.is_duplicate(VIP, NOW + ANSWERED - 0.1)
    assert not first.is_duplicate(VIP, NOW + ANSWERED)
    assert first.asks(VIP, NOW + ANSWERED)


def test_an_address_that_another_host_has_is_left_alone_for_a_while_and_then_looked_for_again() -> None:
    first = DuplicateDetection()
    first.expect(VIP6)

    first.failed(VIP6, NOW)

    assert first.is_duplicate(VIP6, NOW + PAUSE - 0.1)
    assert not first.is_duplicate(VIP6, NOW + PAUSE)
    assert first.is_new(VIP6, NOW + PAUSE)


def test_a_vip_that_nobody_wants_any_more_is_forgotten() -> None:
    first = DuplicateDetection()
    first.expect(VIP6)
    first.failed(VIP6, NOW)

    first.end(VIP6)

    assert not first.is_duplicate(VIP6, NOW)
