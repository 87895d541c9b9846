"""What a line of the logs looks like, for collectors and for people."""

from __future__ import annotations

import json
import logging
import sys
from ipaddress import ip_address

import pytest

from purelb.logs import REMEMBERED, JsonFormatter, Recollection, TextFormatter


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "lbnodeagent.dataplane", "levelname": "INFO", "msg": message} | fields)
    made.created = 1_796_000_000.1236
    return made


def test_json_has_one_document_per_line_with_the_fields_beside_the_message() -> None:
    line = JsonFormatter().format(record("withdraw", vip=ip_address("10.0.0.1"), reason="a\nb"))

    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-11-30T00:53:20.123+00:00",
        "level": "info",
        "logger": "lbnodeagent.dataplane",
        "message": "withdraw",
        "vip": "10.0.0.1",
        "reason": "a\nb",
    }


def test_text_reads_from_left_to_right() -> None:
    line = TextFormatter().format(record("withdraw", vip=ip_address("10.0.0.1"), times=3, owner="w11", why="it left"))

    assert line == (
        '2026-11-30 00:53:20.123 INFO lbnodeagent.dataplane: withdraw vip=10.0.0.1 times=3 owner=w11 why="it left"'
    )


@pytest.mark.parametrize(
    "value", ["a\n2026-11-30 INFO x: y", "x owner=w12", 'x"', "", "\x1b[31m", "\u2028x", "\x85x", {"a": "b\nc"}]
)
def test_no_value_looks_like_another_field_or_line(value: object) -> None:
    line = TextFormatter().format(record("annotated", service=value, owner="w11"))

    assert line.endswith(" owner=w11")
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    told = line.partition("service=")[2].removesuffix(" owner=w11")
    assert (told[0], told[-1]) == ('"', '"')
    assert '"' not in told[1:-1].replace('\\"', "")


def test_nor_does_a_message_that_somebody_else_wrote() -> None:
    assert len(TextFormatter().format(record("a\nb\x1b[2J")).splitlines()) == 1


def test_a_traceback_is_below_its_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())

    first, *rest = TextFormatter().format(made).splitlines()

    assert first.endswith("lbnodeagent.dataplane: failed")
    assert rest[-1] == "ValueError: no"


def test_what_was_decided_lately_is_remembered_with_its_fields() -> None:
    recollection, log = Recollection(), logging.Logger("lbnodeagent.dataplane", logging.DEBUG)
    log.addHandler(recollection)
    log.debug("not worth it")
    for number in range(REMEMBERED + 5):
        log.info("withdraw", extra={"vip": ip_address("10.0.0.1"), "number": number, "why": "x" * 10_000})

    events = recollection.events
    assert len(events) == REMEMBERED
    assert (events[-1]["event"], events[-1]["vip"], events[-1]["number"]) == (
        "withdraw",
        "10.0.0.1",
        str(REMEMBERED + 4),
    )
    assert len(str(events[-1]["why"])) < 1000


def test_a_mistake_in_what_a_library_logs_is_nothing_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    recollection, log = Recollection(), logging.Logger("aiohttp.server")
    log.addHandler(recollection)

    log.warning("%d connections", "many")
    log.warning("%d connections", 3)

    assert [event["event"] for event in recollection.events] == ["3 connections"]
