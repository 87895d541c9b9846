"""VIPs are refreshed each within the interval, spread over it, and never so many at once that a switch notices."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from itertools import pairwise

import pytest

from lbnodeagent.wire.garp import GRID, MOST, Refresh
from purelb.addresses import IPAddress

VIPS = [IPv4Address("10.0.0.0") + number for number in range(2000)]
NOW = 1000.0


def refreshed(refresh: Refresh, end: float) -> list[tuple[float, list[IPAddress]]]:
    """What is due until then."""
    found = []
    while (now := refresh.deadline) is not None and now <= end:
        found.append((now, refresh.due(now)))
    return found


@pytest.mark.parametrize("count", [1, 30, 2000])
def test_each_is_refreshed_within_the_interval(count: int) -> None:
    refresh = Refresh(240.0)
    refresh.keep(VIPS[:count], NOW)
    told = refreshed(refresh, NOW + 1000)

    for vip in VIPS[:count]:
        times = [NOW, *(at for at, vips in told if vip in vips)]
        assert len(times) >= 1000 // 241
        assert all(later - earlier <= 240 + GRID for earlier, later in pairwise(times))


def test_those_placed_at_once_are_spread() -> None:
    refresh = Refresh(240.0)
    refresh.keep(VIPS, NOW)

    assert max(len(vips) for _, vips in refreshed(refresh, NOW + 240)) < 30


def test_more_than_a_switch_can_hear_of_wait_for_each_other() -> None:
    refresh = Refresh(10.0)
    refresh.keep(VIPS, NOW)
    told = refreshed(refresh, NOW + 60)

    assert max(len(vips) for _, vips in told) == MOST
    assert all(later - earlier >= GRID for (earlier, _), (later, _) in pairwise(told))
    assert {vip for _, vips in told for vip in vips} == set(VIPS)


def test_what_is_gone_is_forgotten_and_what_is_back_begins_again() -> None:
    refresh = Refresh(240.0)
    refresh.keep(VIPS[:2], NOW)
    refresh.keep(VIPS[:1], NOW + 1)
    assert {vip for _, vips in refreshed(refresh, NOW + 500) for vip in vips} == set(VIPS[:1])

    refresh.keep((), NOW + 501)
    assert refreshed(refresh, NOW + 1000) == []


def test_another_interval_counts_at_once() -> None:
    refresh = Refresh(0.0)
    refresh.keep(VIPS[:5], NOW)
    assert refresh.deadline is None

    refresh.set_interval(20.0, NOW)
    refresh.keep(VIPS[:5], NOW)
    assert {vip for _, vips in refreshed(refresh, NOW + 20) for vip in vips} == set(VIPS[:5])


def test_an_address_of_each_family_with_one_number_may_be_due_together() -> None:
    both = [ip_address("10.31.188.64"), ip_address("::10.31.188.64")]
    refresh = Refresh(240.0)
    refresh.keep(both, 0.0)

    assert sorted(map(str, refresh.due(300.0))) == ["10.31.188.64", "::a1f:bc40"]
    assert sorted(map(str, refresh.due(600.0))) == ["10.31.188.64", "::a1f:bc40"]
