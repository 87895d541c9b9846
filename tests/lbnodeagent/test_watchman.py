"""Trouble with a VIP is answered and told at a bounded rate."""

from __future__ import annotations

from lbnodeagent.tables import Mac
from lbnodeagent.watchman import DEFEND_INTERVAL, REPORT_INTERVAL, Verdict, Watchman
from tests.lbnodeagent.scenes import VIP

STRANGER = Mac(bytes.fromhex("0211aabbccdd"))


def test_a_strangers_claim_is_defended_and_told_at_once_and_then_not_for_a_while() -> None:
    watchman = Watchman()

    verdicts = [
        watchman.heard(VIP, STRANGER, now, is_peer=False) for now in (0.0, 1.0, DEFEND_INTERVAL, REPORT_INTERVAL)
    ]

    assert verdicts == [
        Verdict(defend=True, report=True),
        Verdict(defend=False, report=False),
        Verdict(defend=True, report=False),
        Verdict(defend=True, report=True),
    ]


def test_a_peers_claim_is_defended_and_told_nobody() -> None:
    assert Watchman().heard(VIP, STRANGER, 0.0, is_peer=True) == Verdict(defend=True, report=False)


def test_three_removals_in_a_minute_are_a_habit_that_is_told_once_a_minute() -> None:
    watchman = Watchman()

    told = [watchman.removed(VIP, now) for now in (0.0, 10.0, 20.0, 30.0, 79.0, 80.0, 81.0)]

    # At 79 s, those of 20 and 30 s count still; the first report was at 20 s.
    assert told == [0, 0, 3, 0, 0, 4, 0]


def test_rare_removals_are_no_habit() -> None:
    watchman = Watchman()

    assert [watchman.removed(VIP, now) for now in (0.0, 61.0, 122.0, 183.0)] == [0, 0, 0, 0]


def test_a_vip_that_comes_again_starts_anew() -> None:
    watchman = Watchman()
    watchman.heard(VIP, STRANGER, 0.0, is_peer=False)

    watchman.forget(VIP)

    assert watchman.heard(VIP, STRANGER, 1.0, is_peer=False) == Verdict(defend=True, report=True)
