"""A program's state in its log: JSON lines, bounded, when SIGUSR1 asks for them."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from purelb.statedump import LONGEST_LINE, MOST_ENTRIES, Table, lines
from purelb.statesignal import StateDump, ignore_signal

ASKED = datetime.datetime(2026, 11, 29, 12, 0, tzinfo=datetime.UTC)


def told(*tables: Table) -> list[Any]:
    return [json.loads(line) for line in lines("lbnodeagent", tables, ASKED)]


def test_each_line_says_of_which_program_and_dump_it_is_and_the_last_one_that_it_is_the_last() -> None:
    first, second, last = told(
        Table("vips", lambda: [{"vip": ip_address("10.0.0.1"), "plan": ("w11", "w12")}]), Table("none", list)
    )

    assert (first["message"], first["program"], first["table"]) == ("state", "lbnodeagent", "vips")
    assert first["entries"] == [{"vip": "10.0.0.1", "plan": ["w11", "w12"]}]
    assert (second["table"], second["entries"]) == ("none", [])
    assert (last["table"], last["entries"]) == ("end", [])
    assert {line["time"] for line in (first, second, last)} == {"2026-11-29T12:00:00.000+00:00"}


def test_no_line_is_longer_than_a_runtime_carries_and_no_table_than_it_may_be() -> None:
    def many() -> Iterator[Mapping[str, Any]]:
        number = 0
        while True:
            number += 1
            yield {"vip": number, "why": '"' * 200}

    *parts, last = told(Table("many", many))

    assert sum(len(part["entries"]) for part in parts) == MOST_ENTRIES
    assert last["entries"] == [{"cut": "many"}]
    assert all(len(line) < 2 * LONGEST_LINE for line in lines("x", [Table("many", many)], ASKED))


def test_an_entry_that_is_too_long_is_cut() -> None:
    part, _ = told(Table("long", lambda: [{"text": "x" * 10 * LONGEST_LINE}, {"text": "short"}]))

    assert list(part["entries"][0]) == ["cut"]
    assert part["entries"][1] == {"text": "short"}
    assert len(json.dumps(part)) < 2 * LONGEST_LINE


def test_nothing_in_it_can_look_like_another_line() -> None:
    (line, _) = lines("x", [Table("t", lambda: [{"a": '\n{"message": "state"}\x1b[2J\u2028'}])], ASKED)

    assert len(line.splitlines()) == 1
    assert line.isascii()


@pytest.fixture
def dumped() -> Iterator[io.StringIO]:
    before = signal.getsignal(signal.SIGUSR1)
    ignore_signal()
    yield io.StringIO()
    signal.signal(signal.SIGUSR1, before)


def play(file: io.StringIO, tables: Iterable[Table], times: int) -> None:
    """A program that runs, and is asked so often."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            dump = tasks.create_task(StateDump("allocator", lambda: tables, file).run())
            await asyncio.sleep(0)
            for number in range(1, times + 1):
                os.kill(os.getpid(), signal.SIGUSR1)
                async with asyncio.timeout(10):
                    while file.getvalue().count('"table": "end"') < number:
                        await asyncio.sleep(0.001)
            dump.cancel()

    asyncio.run(run())


def test_the_signal_has_it_written_each_time(dumped: io.StringIO) -> None:
    play(dumped, [Table("program", lambda: [{"leads": True}])], times=2)

    assert [json.loads(line)["table"] for line in dumped.getvalue().splitlines()] == ["program", "end"] * 2


def test_before_and_after_it_the_signal_ends_nothing(dumped: io.StringIO) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    play(dumped, [], times=1)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_mistake_in_what_is_told_ends_nobodys_service(dumped: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    looks = 0

    def mistaken() -> Iterator[Mapping[str, Any]]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("a mistake of ours")
        yield {}

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            dump = tasks.create_task(StateDump("allocator", lambda: [Table("t", mistaken)], dumped).run())
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                while '"table": "end"' not in dumped.getvalue():
                    os.kill(os.getpid(), signal.SIGUSR1)
                    await asyncio.sleep(0.001)
            dump.cancel()

    asyncio.run(run())
    assert "the state can't be told" in caplog.text
