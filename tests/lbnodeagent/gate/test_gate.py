"""When a node's data path counts as broken, and when it serves again."""

from __future__ import annotations

import pytest

from lbnodeagent.gate.failures import Failure
from lbnodeagent.gate.gate import FLAPPING, HOLD, LONGEST_HOLD, LOOKS, UPGRADE, Gate
from lbnodeagent.gate.looks import Look, Looked


class Played:
    """A gate that is looked at once a second."""

    def __init__(self, *, are_others_proxied: bool = True) -> None:
        self.gate = Gate()
        self.gate.begin()
        self.now = 0.0
        self.are_others_proxied = are_others_proxied

    def see(self, *looks: Look | None, probe: Look | None = None) -> Failure | None:
        for look in looks:
            self.now += 1.0
            self.gate.looked(Looked(look, probe), self.now)
            self.judge()
        return self.gate.failure

    def judge(self) -> Failure | None:
        return self.gate.judge(self.now, are_others_proxied=self.are_others_proxied)

    def wait(self, seconds: float) -> Failure | None:
        self.now += seconds
        return self.judge()


WELL, NO, SILENT, NOBODY = Look.ANSWERS, Look.SAYS_NO, Look.SILENT, Look.REFUSED


def test_before_it_has_looked_it_does_not_serve_and_then_at_once() -> None:
    node = Played()

    assert node.judge() is Failure.UNSEEN
    assert node.see(WELL) is None


def test_without_anything_to_look_at_the_node_object_alone_counts() -> None:
    gate = Gate()
    assert gate.judge(0.0, are_others_proxied=True) is None

    gate.node_is(Failure.NO_NETWORK)
    assert gate.judge(1.0, are_others_proxied=True) is Failure.NO_NETWORK


def test_one_lost_answer_is_nothing_and_three_in_a_row_count() -> None:
    node = Played()
    node.see(WELL)

    assert node.see(*[SILENT] * (LOOKS - 1), WELL) is None
    assert node.see(*[SILENT] * LOOKS) is Failure.KUBE_PROXY


def test_where_no_node_has_a_kube_proxy_that_there_is_none_is_no_reason() -> None:
    assert Played(are_others_proxied=False).see(*[NOBODY] * 100) is None


def test_after_a_reboot_a_kube_proxy_that_others_have_is_late() -> None:
    node = Played()

    assert node.see(NOBODY) is Failure.KUBE_PROXY
    assert node.see(WELL) is Failure.KUBE_PROXY
    assert node.wait(HOLD) is None


def test_as_soon_as_another_node_has_a_kube_proxy_its_absence_here_counts() -> None:
    node = Played(are_others_proxied=False)
    node.see(NOBODY)

    node.are_others_proxied = True
    assert node.wait(0.1) is Failure.KUBE_PROXY


def test_a_kube_proxy_that_answered_may_be_away_for_an_upgrade() -> None:
    node = Played()
    node.see(WELL, NOBODY)

    assert node.wait(UPGRADE - 0.1) is None
    assert node.gate.is_proxied(node.now)
    assert node.gate.deadline == pytest.approx(2.0 + UPGRADE)
    assert node.wait(0.1) is Failure.KUBE_PROXY
    assert not node.gate.is_proxied(node.now)


def test_a_kube_proxy_that_is_removed_everywhere_is_missed_nowhere() -> None:
    node = Played()
    node.see(WELL, *[NOBODY] * 20)
    assert node.gate.failure is Failure.KUBE_PROXY

    node.are_others_proxied = False
    node.wait(1.0)
    assert node.wait(HOLD) is None


def test_one_that_says_no_before_it_ever_said_yes_has_no_rules_yet() -> None:
    assert Played(are_others_proxied=False).see(NO) is Failure.KUBE_PROXY


def test_the_probe_that_does_not_answer_counts_after_three_looks_too() -> None:
    node = Played()

    assert node.see(WELL, probe=NOBODY) is None
    assert node.see(WELL, WELL, probe=SILENT) is Failure.PROBE


def test_what_the_node_object_says_counts_at_once_and_is_told_first() -> None:
    node = Played()
    node.see(WELL)
    node.gate.node_is(Failure.SHUTDOWN)

    assert node.judge() is Failure.SHUTDOWN
    assert node.see(*[SILENT] * LOOKS) is Failure.SHUTDOWN


def test_a_node_that_is_well_again_is_held_for_a_moment() -> None:
    node = Played()
    node.see(WELL, *[SILENT] * LOOKS, WELL)

    assert node.gate.deadline == pytest.approx(node.now + HOLD)
    assert node.wait(HOLD - 0.1) is Failure.KUBE_PROXY
    node.see(*[SILENT] * LOOKS, WELL)
    assert node.wait(HOLD) is None


def test_the_hold_doubles_with_each_failure_that_follows_soon_and_has_an_end() -> None:
    node = Played()
    node.see(WELL)
    holds = []
    for _ in range(8):
        node.see(*[SILENT] * LOOKS, WELL)
        assert node.gate.deadline is not None
        holds.append(round(node.gate.deadline - node.now, 3))
        node.wait(holds[-1])
        assert node.gate.failure is None

    assert holds == [HOLD, 6.0, 12.0, 24.0, 48.0, LONGEST_HOLD, LONGEST_HOLD, LONGEST_HOLD]
    node.wait(FLAPPING)
    node.see(*[SILENT] * LOOKS, WELL)
    assert node.gate.deadline == pytest.approx(node.now + HOLD)


def test_another_reason_while_it_fails_is_no_failure_of_its_own() -> None:
    node = Played()
    node.see(WELL, *[SILENT] * LOOKS)
    node.gate.node_is(Failure.NOT_READY)
    node.judge()
    node.gate.node_is(None)
    node.see(WELL)

    assert node.wait(HOLD) is None
