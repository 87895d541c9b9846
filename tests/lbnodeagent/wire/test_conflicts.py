"""Trouble with a VIP is answered and told at a bounded rate."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.messages import Peer
from lbnodeagent.tables import Conflict, Mac
from lbnodeagent.wire.conflicts import (
    DEFEND_INTERVAL,
    HOSTS,
    PATIENCE,
    PEER_PATIENCE,
    REPORT_INTERVAL,
    Conflicts,
    Verdict,
    named,
)
from tests.lbnodeagent.scenes import VIP

STRANGER = Mac(bytes.fromhex("0211aabbccdd"))


def test_a_strangers_claim_is_defended_at_once_and_told_when_it_is_heard_again() -> None:
    conflicts = Conflicts()

    verdicts = [conflicts.heard(VIP, STRANGER, now, is_peer=False) for now in (0.0, 1.0, PATIENCE, PATIENCE + 1.0)]

    assert verdicts == [
        Verdict(defend=True, report=False, ask_again=PATIENCE),
        Verdict(defend=False, report=False, ask_again=PATIENCE),
        Verdict(defend=False, report=True),
        Verdict(defend=False, report=False),
    ]


def test_a_stranger_that_stays_is_told_and_answered_at_a_bounded_rate() -> None:
    conflicts = Conflicts()
    times = [second / 2 for second in range(2 * 130)]

    verdicts = [conflicts.heard(VIP, STRANGER, now, is_peer=False) for now in times]

    reported = [now for now, verdict in zip(times, verdicts, strict=True) if verdict.report]
    defended = [now for now, verdict in zip(times, verdicts, strict=True) if verdict.defend]
    assert reported == [PATIENCE, 2 * PATIENCE + REPORT_INTERVAL, 3 * PATIENCE + 2 * REPORT_INTERVAL]
    assert defended == [DEFEND_INTERVAL * turn for turn in range(13)]


def test_one_that_turns_out_to_be_a_peer_is_told_nobody() -> None:
    conflicts = Conflicts()

    assert conflicts.heard(VIP, STRANGER, 0.0, is_peer=False).ask_again == PATIENCE
    assert not conflicts.heard(VIP, STRANGER, PATIENCE, is_peer=True).report


def test_what_was_heard_long_ago_is_no_second_time() -> None:
    conflicts = Conflicts()
    conflicts.heard(VIP, STRANGER, 0.0, is_peer=False)

    verdict = conflicts.heard(VIP, STRANGER, REPORT_INTERVAL, is_peer=False)

    assert verdict == Verdict(defend=True, report=False, ask_again=REPORT_INTERVAL + PATIENCE)


def test_duplicate_address_detection_needs_no_second_time() -> None:
    assert Conflicts().heard(VIP, STRANGER, 0.0, is_peer=False, is_sure=True) == Verdict(defend=True, report=True)


def test_a_peers_claim_is_defended_and_it_is_asked_again_for_longer_than_a_hand_over_takes() -> None:
    conflicts = Conflicts()
    asked, told_at = 0.0, None
    while told_at is None:
        verdict = conflicts.heard(VIP, STRANGER, asked, is_peer=True)
        assert verdict.defend is (asked % DEFEND_INTERVAL == 0)
        told_at = asked if verdict.report else None
        asked = verdict.ask_again or asked

    assert told_at == PEER_PATIENCE


def test_a_peer_that_let_go_meanwhile_is_told_nobody() -> None:
    conflicts = Conflicts()
    for began in (0.0, 20.0, 40.0, 60.0):
        assert not conflicts.heard(VIP, STRANGER, began, is_peer=True).report
        assert not conflicts.heard(VIP, STRANGER, began + 3.0, is_peer=True).report


def test_a_host_that_has_the_address_of_an_agents_pod_is_its_node() -> None:
    peers = [Peer("w12", "10.31.188.12"), Peer("w11", "10.31.188.11"), Peer("odd", "no address")]
    heard = Conflict(VIP, "eth0", STRANGER)
    table = {ip_address("10.31.188.11"): STRANGER, ip_address("10.31.188.12"): Mac(b"\2\0\0\0\0\1")}

    assert named(heard, table, peers) == Conflict(VIP, "eth0", STRANGER, node="w11")
    assert named(heard, {}, peers) == heard


def test_a_vip_that_comes_again_starts_anew() -> None:
    conflicts = Conflicts()
    conflicts.heard(VIP, STRANGER, 0.0, is_peer=False)

    conflicts.forget(VIP)

    again = conflicts.heard(VIP, STRANGER, PATIENCE, is_peer=False)
    assert again == Verdict(defend=True, report=False, ask_again=2 * PATIENCE)


def test_who_invents_macs_fills_neither_memory_nor_log() -> None:
    conflicts = Conflicts()
    macs = [Mac(number.to_bytes(6)) for number in range(1000)]

    sure = [conflicts.heard(VIP, mac, 0.0, is_peer=False, is_sure=True).report for mac in macs]

    assert sum(sure) == HOSTS


def test_a_host_that_stays_is_told_among_others_that_come_and_go() -> None:
    conflicts = Conflicts()
    reports = []
    for turn in range(8):
        conflicts.heard(VIP, Mac(turn.to_bytes(6)), turn - 0.5, is_peer=False)
        reports.append(conflicts.heard(VIP, STRANGER, float(turn), is_peer=False).report)

    assert reports.index(True) == PATIENCE
