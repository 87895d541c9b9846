"""When everything is looked at again, and how long routed VIPs wait for the routing software."""

from __future__ import annotations

from lbnodeagent.bird.status import BirdStatus
from lbnodeagent.dataplane.routergate import PATIENCE, RouterGate
from lbnodeagent.dataplane.sweeps import RETRY_LINKS, SWEEP, Due, Sweeps
from tests.lbnodeagent.scenes import NOW


def test_all_is_due_at_first_and_then_renewals_four_times_in_a_lifetime() -> None:
    sweeps = Sweeps()
    sweeps.lifetime_is(20, NOW)

    assert sweeps.due(NOW) == Due(links=False, renewals=True, everything=True)
    assert sweeps.due(NOW + 4.9) == Due(links=False, renewals=False, everything=False)
    assert sweeps.deadline == NOW + 5
    assert sweeps.due(NOW + 5) == Due(links=False, renewals=True, everything=False)


def test_permanent_addresses_are_looked_at_with_the_sweep() -> None:
    sweeps = Sweeps()
    sweeps.due(NOW)

    assert sweeps.deadline == NOW + SWEEP
    assert sweeps.due(NOW + SWEEP) == Due(links=False, renewals=True, everything=True)


def test_when_addresses_get_a_lifetime_they_are_renewed_within_it() -> None:
    sweeps = Sweeps()
    sweeps.lifetime_is(0, NOW)
    sweeps.due(NOW)

    sweeps.lifetime_is(20, NOW + 1)

    assert sweeps.deadline == NOW + 6
    assert sweeps.due(NOW + 6).renewals


def test_links_that_were_refused_are_tried_again_once() -> None:
    sweeps = Sweeps()
    sweeps.due(NOW)
    sweeps.retry_links(NOW)

    assert sweeps.due(NOW + RETRY_LINKS) == Due(links=True, renewals=False, everything=False)
    assert sweeps.due(NOW + RETRY_LINKS) == Due(links=False, renewals=False, everything=False)


def test_without_a_router_to_wait_for_nothing_waits() -> None:
    assert RouterGate().trouble is None


def test_trouble_is_told_when_the_patience_has_ended() -> None:
    wait = RouterGate()
    wait.begin(NOW)
    down = BirdStatus(is_up=False, error="connection refused")

    assert not wait.is_now(down, NOW + 1)
    assert wait.trouble == ""
    assert not wait.look(NOW + PATIENCE - 1)
    assert wait.look(NOW + PATIENCE)
    assert wait.trouble == down.trouble != ""


def test_a_router_that_is_there_is_waited_for_no_longer() -> None:
    wait = RouterGate()
    wait.begin(NOW)

    wait.is_now(BirdStatus(is_up=False, error="connection refused"), NOW + PATIENCE + 1)

    assert wait.trouble
