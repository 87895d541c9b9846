"""What the lab's API server keeps out of its log, and what it doesn't."""

from __future__ import annotations

import asyncio

import pytest

from kubedouble.lostconnections import ignore_double_resets


def complain(message: str, exception: Exception) -> None:
    loop = asyncio.new_event_loop()
    try:
        ignore_double_resets(loop)
        loop.call_exception_handler({"message": message, "exception": exception})
    finally:
        loop.close()


def test_a_connection_that_is_lost_twice_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    text = "Exception in callback _SelectorSocketTransport._call_connection_lost(BrokenPipeErr...'Broken pipe'))"

    complain(text, AttributeError("'NoneType' object has no attribute 'close'"))

    assert caplog.text == ""


@pytest.mark.parametrize(
    ("message", "exception"),
    [
        ("Exception in callback _SelectorSocketTransport._call_connection_lost()", ValueError("boom")),
        ("Exception in callback serve()", AttributeError("'NoneType' object has no attribute 'close'")),
    ],
)
def test_everything_else_is(message: str, exception: Exception, caplog: pytest.LogCaptureFixture) -> None:
    complain(message, exception)

    assert message in caplog.text
