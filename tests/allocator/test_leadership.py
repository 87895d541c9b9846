"""Two allocators: one writes, the other takes over, and a leader that is cut off stops in time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from allocator.leadership import LEASE, Leadership, LeadershipLostError, Timing
from purelb.errors import NotFoundError
from purelb.kube import group_path
from tests.allocator.builders import local
from tests.allocator.stage import Stage, staged, until

QUICK = Timing(duration=1.0, give_up=0.6, renew=0.15, poll=0.1, request=0.3)


def candidate(stage: Stage, identity: str) -> Leadership:
    return Leadership(stage.kube, "purelb", identity, asyncio.get_running_loop().time, QUICK)


async def holder(stage: Stage) -> str | None:
    try:
        lease = await stage.kube.get(group_path("coordination.k8s.io/v1", "leases", "purelb", LEASE))
    except NotFoundError:
        return None
    return str(lease["spec"]["holderIdentity"])


def test_one_leads_and_the_other_follows() -> None:
    async def run() -> None:
        async with staged() as stage:
            first, second = candidate(stage, "first"), candidate(stage, "second")
            await first.acquire()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await second.acquire()

            assert first.is_ours
            assert not second.is_ours
            assert await holder(stage) == "first"

    asyncio.run(run())


def test_a_stop_while_renewals_fail_leaves_the_lease_to_expire() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            first = candidate(stage, "first")
            await first.acquire()
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(first.keep())
                fault = stage.api.faults.status(500, resource="leases")
                while not fault.hits:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)
                keeping.cancel()
            assert first.is_ours

            await first.release()

            assert not first.is_ours

    asyncio.run(run())


def test_a_clean_stop_hands_over_at_once() -> None:
    async def run() -> None:
        async with staged() as stage:
            first, second = candidate(stage, "first"), candidate(stage, "second")
            await first.acquire()
            await first.release()
            assert not first.is_ours

            async with asyncio.timeout(0.3):
                await second.acquire()

            assert await holder(stage) == "second"

    asyncio.run(run())


def test_a_follower_takes_over_when_the_lease_has_not_changed_for_its_duration() -> None:
    async def run() -> None:
        async with staged() as stage:
            loop = asyncio.get_running_loop()
            first, second = candidate(stage, "first"), candidate(stage, "second")
            await first.acquire()
            crashed = loop.time()

            await second.acquire()

            assert 1.0 <= loop.time() - crashed < 2.0
            assert not first.is_ours, "it stopped by its own clock before the other began"

    asyncio.run(run())


def test_a_leader_that_renews_keeps_leading() -> None:
    async def run() -> None:
        async with staged() as stage:
            first, second = candidate(stage, "first"), candidate(stage, "second")
            await first.acquire()
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(first.keep())
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(2.0):
                        await second.acquire()
                assert first.is_ours
                keeping.cancel()

    asyncio.run(run())


def test_a_leader_that_can_t_renew_stops_before_its_lease_ends() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            loop = asyncio.get_running_loop()
            first = candidate(stage, "first")
            await first.acquire()
            stage.api.faults.status(500, resource="leases")
            cut_off = loop.time()

            with pytest.raises(LeadershipLostError):
                await first.keep()

            assert loop.time() - cut_off < QUICK.duration
            assert not first.is_ours

    asyncio.run(run())


def test_a_short_outage_costs_no_leadership() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            first = candidate(stage, "first")
            await first.acquire()
            stage.api.faults.status(500, resource="leases", count=2)

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await first.keep()

            assert first.is_ours

    asyncio.run(run())


def test_the_allocator_that_stops_hands_its_work_to_the_standby() -> None:
    async def run() -> None:
        async with staged() as stage:
            await stage.group("default", local=local("10.1.0.0/28"))
            async with AsyncExitStack() as standby:
                async with stage.allocator("pod-a"):
                    await stage.service("a")
                    await stage.addresses_when_given("a")
                    assert await holder(stage) == "pod-a"
                    await standby.enter_async_context(stage.allocator("pod-b"))
                await stage.service("b")
                assert await stage.addresses_when_given("b") == ["10.1.0.1"]
                assert await holder(stage) == "pod-b"

    asyncio.run(run())


@pytest.mark.parametrize(("seconds", "taken"), [(3600, 30.0), (1, 6.0), (12, 12.0)])
def test_a_duration_that_somebody_wrote_into_the_lease_counts_within_bounds_and_the_wait_is_said(
    seconds: int, taken: float
) -> None:
    async def run() -> None:
        async with staged() as stage:
            now = 0.0
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": LEASE, "namespace": "purelb"},
                "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": seconds},
            }
            await stage.kube.create(group_path("coordination.k8s.io/v1", "leases", "purelb"), lease)
            follower = Leadership(stage.kube, "purelb", "us", lambda: now, Timing(poll=0.01, request=5.0))
            acquiring = asyncio.create_task(follower.acquire())
            await until(lambda: seen(follower))

            for now in (5.9, taken - 0.1):
                await asyncio.sleep(0.1)
                assert not acquiring.done()
                said = follower.complaint(now)
                assert (said is not None) == (now >= 10.0)
                if said is not None:
                    assert said.startswith('the Lease purelb/purelb-allocator is held by "somebody", which does not')
            now = taken
            await asyncio.wait_for(acquiring, 5)

            assert follower.complaint(now) is None
            assert await holder(stage) == "us"

    async def seen(follower: Leadership) -> bool:
        return bool(follower._seen_version)

    asyncio.run(run())


def test_a_lease_that_can_t_be_read_is_said_after_a_while() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            now = 0.0
            follower = Leadership(stage.kube, "purelb", "us", lambda: now, Timing(poll=0.01))
            fault = stage.api.faults.status(403, resource="leases")
            acquiring = asyncio.create_task(follower.acquire())

            async def failed() -> bool:
                return fault.hits > 1

            await until(failed)
            assert follower.complaint(9.0) is None
            said = follower.complaint(10.0)
            assert said is not None
            assert said.startswith("the Lease purelb/purelb-allocator can't be read or written: ")
            acquiring.cancel()

    asyncio.run(run())
