"""A loop that turns is alive; one that doesn't isn't, and may be again."""

from __future__ import annotations

import asyncio
import time

import pytest

from purelb import pulse as pulse_module
from purelb.pulse import Pulse


def test_a_loop_that_stands_still_is_seen_and_one_that_turns_again_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "BEAT", 0.01)
    pulse = Pulse("the loop", still=0.1)

    async def scene() -> list[str | None]:
        beating = asyncio.create_task(pulse.beat())
        await asyncio.sleep(0.05)
        first = pulse.trouble()
        time.sleep(0.2)  # noqa: ASYNC251  # that is the fault
        blocked = pulse.trouble()
        await asyncio.sleep(0.05)
        beating.cancel()
        return [first, blocked, pulse.trouble()]

    first, blocked, again = asyncio.run(scene())

    assert (first, again) == (None, None)
    assert blocked is not None
    assert blocked.startswith("the loop has shown no sign of life")
