"""kopf is the frame: whatever ends it, it is there again, and it ends when it's told to."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from purelb.backoff import Backoff
from purelb.kopfrunner import run_operator
from tests.purelb.conftest import Api

SOON = Backoff(first=0.05, most=0.1)


class Startups(asyncio.Event):
    """Is set by the startup handler; ``enough`` when that was called so often."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.enough = asyncio.Event()
        self._left = times

    def set(self) -> None:
        super().set()
        self._left -= 1
        if self._left <= 0:
            self.enough.set()


@pytest.fixture(autouse=True)
def kopf_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What it logs holds the tracebacks of its tasks, and so these, until long after the test."""
    caplog.set_level(logging.CRITICAL, logger="kopf")


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Play it, and have asyncio complain now, not later, of tasks inside kopf whose failure nobody asked for."""
    asyncio.run(scenario)
    gc.collect()


def test_a_server_that_does_not_take_our_token_for_a_while_ends_nothing(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            server.faults.status(401)
            begun = Startups(3)
            stop = asyncio.Event()
            running = asyncio.create_task(run_operator(kube, begun=begun, stop=stop, again=SOON))
            async with asyncio.timeout(20):
                await begun.enough.wait()
            assert not running.done()
            server.faults.clear()
            stop.set()
            async with asyncio.timeout(20):
                await running

    run(scenario())


def test_a_signal_stops_it_also_after_it_was_started_again(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            fault = server.faults.status(401)
            begun = Startups(2)
            stop = asyncio.Event()
            running = asyncio.create_task(run_operator(kube, begun=begun, stop=stop, again=SOON))
            async with asyncio.timeout(20):
                await begun.enough.wait()
                server.faults.clear(fault)
                os.kill(os.getpid(), signal.SIGTERM)
                await running
            assert stop.is_set()

    run(scenario())


def test_a_server_that_is_away_for_long_is_waited_for_without_a_traceback(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="kopf")

    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            server.faults.status(503)
            begun, stop = Startups(1), asyncio.Event()
            running = asyncio.create_task(run_operator(kube, begun=begun, stop=stop, again=SOON))
            async with asyncio.timeout(20):
                while caplog.text.count("will retry") < 40:
                    await asyncio.sleep(0.02)
                server.faults.clear()
                stop.set()
                await running

    run(scenario())
    assert "Traceback" not in caplog.text
