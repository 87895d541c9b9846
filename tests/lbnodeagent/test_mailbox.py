"""Values between threads: the newest of each key, none lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lbnodeagent.mailbox import Mailbox


def test_the_newest_value_of_each_key_is_taken_in_the_order_of_the_keys() -> None:
    async def scene() -> dict[str, int]:
        box: Mailbox[str, int] = Mailbox()
        box.open()
        for key, value in (("a", 1), ("b", 2), ("a", 3)):
            box.put(key, value)
        return await box.take()

    assert list(asyncio.run(scene()).items()) == [("a", 3), ("b", 2)]


def test_what_is_put_before_the_receiver_opens_waits_for_it() -> None:
    async def scene() -> dict[str, int]:
        box: Mailbox[str, int] = Mailbox()
        box.put("a", 1)
        box.open()
        return await box.take()

    assert asyncio.run(scene()) == {"a": 1}


def test_another_thread_wakes_the_receiver_and_nothing_is_lost() -> None:
    count = 2000
    box: Mailbox[int, int] = Mailbox()
    seen: dict[int, int] = {}

    async def receive() -> None:
        box.open()
        started.set()
        while len(seen) < count:
            seen.update(await box.take())

    def send() -> None:
        started.wait()
        for number in range(count):
            box.put(number, number)

    started = threading.Event()
    sender = threading.Thread(target=send)
    sender.start()
    asyncio.run(asyncio.wait_for(receive(), 10))
    sender.join()

    assert seen == {number: number for number in range(count)}


def test_a_receiver_that_is_gone_disturbs_nobody() -> None:
    box: Mailbox[str, int] = Mailbox()

    async def first() -> None:
        box.open()
        box.close()

    async def second() -> dict[str, int]:
        box.open()
        return await box.take()

    asyncio.run(first())
    box.put("a", 1)

    assert asyncio.run(second()) == {"a": 1}


def test_a_receiver_that_waited_in_vain_is_followed_by_one_on_another_loop() -> None:
    box: Mailbox[str, int] = Mailbox()

    async def receive(seconds: float) -> dict[str, int]:
        box.open()
        try:
            async with asyncio.timeout(seconds):
                return await box.take()
        finally:
            box.close()

    with pytest.raises(TimeoutError):
        asyncio.run(receive(0.01))

    async def second() -> dict[str, int]:
        asyncio.get_running_loop().call_later(0.01, box.put, "a", 1)
        return await receive(10)

    assert asyncio.run(second()) == {"a": 1}


def test_who_starts_over_takes_back_what_was_not_taken() -> None:
    async def scene() -> dict[str, int]:
        box: Mailbox[str, int] = Mailbox()
        box.open()
        box.put("a", 1)
        box.put("b", 2)
        box.start_over("begun", 0)
        box.put("b", 3)
        return await box.take()

    assert list(asyncio.run(scene()).items()) == [("begun", 0), ("b", 3)]
