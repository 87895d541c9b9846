"""Only an IPv6 VIP that nobody has had is looked for on the wire before it's used."""

from __future__ import annotations

from lbnodeagent.wire.dad import PAUSE, DuplicateDetection
from tests.lbnodeagent.scenes import NOW, VIP, VIP6


def test_an_ipv6_vip_is_new_until_somebody_has_it() -> None:
    first = DuplicateDetection()
    assert not first.is_new(VIP6)

    first.expect(VIP6)
    assert first.is_new(VIP6)

    first.end(VIP6)
    assert not first.is_new(VIP6)


def test_ipv4_knows_no_such_thing() -> None:
    first = DuplicateDetection()

    first.expect(VIP)

    assert not first.is_new(VIP)


def test_an_address_that_another_host_has_is_left_alone_for_a_while_and_then_looked_for_again() -> None:
    first = DuplicateDetection()
    first.expect(VIP6)

    first.failed(VIP6, NOW)

    assert first.is_duplicate(VIP6, NOW + PAUSE - 0.1)
    assert not first.is_duplicate(VIP6, NOW + PAUSE)
    assert first.is_new(VIP6)


def test_a_vip_that_nobody_wants_any_more_is_forgotten() -> None:
    first = DuplicateDetection()
    first.expect(VIP6)
    first.failed(VIP6, NOW)

    first.end(VIP6)

    assert not first.is_duplicate(VIP6, NOW)
