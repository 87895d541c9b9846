"""Trouble with a VIP is answered and told at a bounded rate."""

from __future__ import annotations

from lbnodeagent.tables import Mac
from lbnodeagent.wire.conflicts import DEFEND_INTERVAL, PATIENCE, REPORT_INTERVAL, Conflicts, Verdict
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
    assert conflicts.heard(VIP, STRANGER, PATIENCE, is_peer=True) == Verdict(defend=False, report=False)


def test_what_was_heard_long_ago_is_no_second_time() -> None:
    conflicts = Conflicts()
    conflicts.heard(VIP, STRANGER, 0.0, is_peer=False)

    verdict = conflicts.heard(VIP, STRANGER, REPORT_INTERVAL, is_peer=False)

    assert verdict == Verdict(defend=True, report=False, ask_again=REPORT_INTERVAL + PATIENCE)


def test_duplicate_address_detection_needs_no_second_time() -> None:
    assert Conflicts().heard(VIP, STRANGER, 0.0, is_peer=False, is_sure=True) == Verdict(defend=True, report=True)


def test_a_peers_claim_is_defended_and_told_nobody() -> None:
    assert Conflicts().heard(VIP, STRANGER, 0.0, is_peer=True) == Verdict(defend=True, report=False)


def test_three_removals_in_a_minute_are_a_habit_that_is_told_once_a_minute() -> None:
    conflicts = Conflicts()

    told = [conflicts.removed(VIP, now) for now in (0.0, 10.0, 20.0, 30.0, 79.0, 80.0, 81.0)]

    # At 79 s, those of 20 and 30 s count still; the first report was at 20 s.
    assert told == [0, 0, 3, 0, 0, 4, 0]


def test_rare_removals_are_no_habit() -> None:
    conflicts = Conflicts()

    assert [conflicts.removed(VIP, now) for now in (0.0, 61.0, 122.0, 183.0)] == [0, 0, 0, 0]


def test_a_vip_that_comes_again_starts_anew() -> None:
    conflicts = Conflicts()
    conflicts.heard(VIP, STRANGER, 0.0, is_peer=False)

    conflicts.forget(VIP)

    again = conflicts.heard(VIP, STRANGER, PATIENCE, is_peer=False)
    assert again == Verdict(defend=True, report=False, ask_again=2 * PATIENCE)
