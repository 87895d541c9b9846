"""Probes change their verdict at the thresholds of the manifest."""

from __future__ import annotations

from lab.probes import Probe, Verdict


def _changes(probe: Probe, results: list[bool]) -> list[tuple[int, bool]]:
    verdict = Verdict(probe)
    return [(i, bool(verdict.passes)) for i, result in enumerate(results) if verdict.count(result)]


def test_the_defaults_are_those_of_kubernetes() -> None:
    probe = Probe.parse({"httpGet": {"port": 80}})

    assert probe is not None
    assert (probe.initial_delay, probe.period, probe.timeout) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)
    assert Probe.parse(None) is None


def test_only_failures_in_a_row_count() -> None:
    probe = Probe.parse({"tcpSocket": {"port": 1}, "failureThreshold": 3})
    assert probe is not None

    assert _changes(probe, [True, False, False, True, False, False, False, False]) == [(0, True), (6, False)]


def test_successes_may_have_to_repeat() -> None:
    probe = Probe.parse({"tcpSocket": {"port": 1}, "successThreshold": 2})
    assert probe is not None

    assert _changes(probe, [True, False, True, True]) == [(3, True)]
