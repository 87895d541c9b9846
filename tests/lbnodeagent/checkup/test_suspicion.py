"""One lost packet, one old entry of a table is no finding: it must show twice in a row."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from random import Random

from lbnodeagent.checkup.facts import Expected, Facts
from lbnodeagent.checkup.suspicion import TRIED, Suspicion
from lbnodeagent.messages import Peer
from purelb.addresses import parse_range
from purelb.checks import Check, Finding

TAKEN = ip_address("10.31.188.70")
EXPECTED = Expected(pools=(("wire", parse_range("10.31.188.64-10.31.188.126")),))
STRANGER = "52:54:00:12:34:56"
NOBODY: frozenset[str] = frozenset()


def seen(mac: str) -> Facts:
    return Facts(neighbours={TAKEN: mac, ip_address("10.31.7.7"): "52:54:00:00:00:07"})


def test_a_neighbour_counts_when_it_is_there_the_second_time_and_is_asked_in_between() -> None:
    suspicion = Suspicion(Random(1))

    assert suspicion.seen(seen(STRANGER), EXPECTED, NOBODY) == {}
    assert suspicion.to_ask == (TAKEN,)
    assert suspicion.seen(seen(STRANGER), EXPECTED, NOBODY) == {TAKEN: STRANGER}
    assert suspicion.seen(Facts(), EXPECTED, NOBODY) == {}
    assert suspicion.seen(seen(STRANGER), EXPECTED, NOBODY) == {}


def test_a_node_that_had_the_address_a_moment_ago_is_no_stranger() -> None:
    suspicion = Suspicion(Random(1))

    for _ in range(3):
        assert suspicion.seen(seen(STRANGER), EXPECTED, frozenset({STRANGER})) == {}
        assert suspicion.seen(seen(STRANGER), replace(EXPECTED, vips=frozenset({TAKEN})), NOBODY) == {}


def test_a_port_is_closed_when_two_tries_in_a_row_fail_and_is_tried_again_first() -> None:
    suspicion = Suspicion(Random(1))
    peers = [Peer(f"w{number}", f"10.31.0.{number}") for number in range(100)]

    tried = suspicion.to_try(peers)
    assert len(tried) == TRIED
    assert suspicion.tried([tried[0].node]) == ()
    assert suspicion.to_try(peers)[0] == tried[0]
    assert suspicion.tried([tried[0].node, tried[1].node]) == (tried[0].node,)
    assert suspicion.tried([]) == ()


def test_what_may_not_be_there_yet_counts_at_the_second_look_and_all_else_at_once() -> None:
    suspicion = Suspicion(Random(1))
    late, sure = Finding(Check.DUMMY_DRIVER, "not there", "wait"), Finding(Check.RP_FILTER, "drops", "set it")

    assert suspicion.lasting([late, sure]) == (sure,)
    assert suspicion.lasting([late]) == (late,)
    assert suspicion.lasting([]) == ()
    assert suspicion.lasting([late]) == ()
