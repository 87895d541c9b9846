"""Chaos: what is planned, what explains what, and what counts as an exception."""

from __future__ import annotations

import random
from ipaddress import ip_address
from itertools import combinations
from typing import get_args

import pytest

from bench.chaos import placed, two_owners
from bench.cluster import is_exception, is_pooled, vips_of
from bench.constitution import Placed
from bench.incidents import ALONE, API, HARMLESS, REST, STRANGERS, Incident, Kind, cause_of, plan_incidents
from bench.keepalived import INSTANCES, configuration
from bench.wire import Change, Doubled
from purelb.election import ranking

NODES = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("seed", range(20))
def test_at_most_two_nodes_are_broken_at_a_time_and_none_twice(seed: int) -> None:
    planned = plan_incidents(NODES, 120.0, random.Random(seed))

    assert planned == plan_incidents(NODES, 120.0, random.Random(seed))
    assert len(planned) > 15
    assert all(0 < one.begin < one.end <= 120.0 for one in planned)
    broken = [one for one in planned if one.node and one.kind not in HARMLESS]
    for one, other in combinations(broken, 2):
        assert one.node != other.node or one.end + REST <= other.begin
    for one in planned:
        assert len({other.node for other in broken if other.begin <= one.begin < other.end}) <= 2
    for group in (API, STRANGERS):
        for one, other in combinations([one for one in planned if one.kind in group], 2):
            assert one.end + 1 <= other.begin


@pytest.mark.parametrize("seed", range(20))
def test_nothing_else_happens_while_the_api_server_goes_back_in_time(seed: int) -> None:
    planned = plan_incidents(NODES, 600.0, random.Random(seed))

    for alone in (one for one in planned if one.kind in ALONE):
        assert all(one.end <= alone.begin or alone.end <= one.begin for one in planned if one is not alone)


def test_over_an_hour_everything_happens() -> None:
    kinds = {one.kind for one in plan_incidents(NODES, 3600.0, random.Random(4))}

    assert kinds == set(get_args(Kind))


def test_two_owners_are_explained_by_the_last_incident_of_one_of_them() -> None:
    kill, cut = Incident("agent-kill", "a", 1.0, 4.0), Incident("power", "b", 2.0, 3.0)

    assert cause_of(2.5, {"a", "c"}, [kill, cut]) == kill
    assert cause_of(2.5, {"c", "d"}, [kill, cut]) == cut
    assert cause_of(0.5, {"a", "c"}, [kill, cut]) is None
    assert two_owners([kill, cut], [Doubled(1.5, 6.0, frozenset("ac")), Doubled(1.6, 3.0, frozenset("ac"))]) == [
        (kill, 4.5, 2.0),
        (cut, 0.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Traceback (most recent call last):", True),
        (
            '{"level": "error", "logger": "lbnodeagent.gossip.peers", "message": "two nodes gossip under one name"}',
            True,
        ),
        ('{"level": "warning", "logger": "purelb.events", "exception": "Traceback ..."}', True),
        (
            '{"level": "error", "logger": "kopf._cogs.clients.watching", "message": "Request attempt #1/7 failed"}',
            False,
        ),
        ('{"level": "info", "logger": "lbnodeagent.gossip.peers", "message": "peer failed"}', False),
        ("2026-01-01 00:00:00 INFO lab.supervisor ready", False),
        ("17", False),
    ],
)
def test_what_counts_as_an_exception(line: str, expected: bool) -> None:
    assert is_exception(line) is expected


@pytest.mark.parametrize("ipv6", [False, True])
def test_vips_are_chosen_by_the_elections_rule(ipv6: bool) -> None:
    found = vips_of("b", NODES, 20, ipv6=ipv6, second="d")

    assert len(set(found)) == 20
    assert all(ranking(NODES, vip)[:2] == ["b", "d"] for vip in found)
    assert all(is_pooled(vip) for vip in found)
    assert not is_pooled("10.31.188.11")


def test_keepalived_gets_the_version_of_vrrp_that_its_interval_needs() -> None:
    default, fast = configuration(254, INSTANCES).split("vrrp_instance")[1:]

    assert "version 2" in default
    assert "advert_int 1\n" in default
    assert "version 3" in fast
    assert "advert_int 0.1\n" in fast


def test_what_came_and_is_nobody_elses_was_placed() -> None:
    def came(node: str, address: str, *, is_there: bool = True) -> Change:
        return Change(1.0, node, "eth0", address, is_there, 16)

    changes = [
        came("a", "10.31.64.9"),
        came("a", "10.31.188.1"),
        came("b", "10.31.188.1"),
        came("b", "fe80::1"),
        came("c", "10.31.188.2", is_there=False),
    ]

    assert placed(changes, {("a", "eth0", "10.31.188.1")}) == {
        Placed("a", "eth0", ip_address("10.31.64.9"), 16),
        Placed("b", "eth0", ip_address("10.31.188.1"), 16),
    }
