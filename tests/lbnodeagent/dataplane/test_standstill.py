"""An agent notices that it stood still, once, and that it is only busy it doesn't take for that."""

from __future__ import annotations

import asyncio

import pytest

from lbnodeagent.dataplane.looplag import PROBE, measure_lag
from lbnodeagent.dataplane.standstill import LONGEST, Standstill
from memberlist import Config
from memberlist.suspicion import shortest
from purelb.metrics import AgentMetrics, new_registry
from tests.lbnodeagent.scenes import NOW


def test_a_loop_that_runs_when_it_should_or_a_little_later_never_stood_still() -> None:
    standstill = Standstill()
    assert not standstill.has_been(NOW)

    standstill.expect(NOW + 0.5)

    assert not standstill.has_been(NOW + 0.1)
    assert not standstill.has_been(NOW + 0.5 + LONGEST / 2)


def test_one_that_runs_far_too_late_did_and_hears_so_once() -> None:
    standstill = Standstill()
    standstill.expect(NOW)

    assert standstill.has_been(NOW + 60)
    assert not standstill.has_been(NOW + 60)

    standstill.expect(NOW + 60.5)
    assert not standstill.has_been(NOW + 60.5)
    assert standstill.has_been(NOW + 65)


def test_that_the_loop_goes_on_before_anybody_asks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stands_still() -> bool:
        loop, standstill = asyncio.get_running_loop(), Standstill()
        measuring = asyncio.create_task(
            measure_lag(AgentMetrics(new_registry()), standstill, lambda now, seconds: now + seconds)
        )
        await asyncio.sleep(0)
        thawed_at = loop.time() + 60
        monkeypatch.setattr(loop, "time", lambda: thawed_at)
        for _ in range(5):  # the measurement is the first to wake, and begins the next one
            await asyncio.sleep(0)
        measuring.cancel()
        return standstill.has_been(thawed_at)

    assert asyncio.run(stands_still())


@pytest.mark.parametrize("profile", [Config.fast(), Config.steady()], ids=["fast", "steady"])
def test_a_process_that_peers_take_for_dead_notices_it_whenever_it_stopped(profile: Config) -> None:
    """Its kernel still takes connections, so that it gets more time."""
    probed = (profile.probe_length or profile.probe_interval) + profile.busy_grace

    assert probed + shortest(profile, 3) >= PROBE + LONGEST
