"""The streams of a command as messages: what a kubelet takes and says on v5.channel.k8s.io."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kubelet.channels import Channel, Input, Resize, Wish, ended, failed, message, read_message, read_wish


def status(last: bytes) -> dict[str, Any]:
    assert last[0] == Channel.ERROR
    told: dict[str, Any] = json.loads(last[1:])
    return told


def test_a_wish_keeps_the_order_of_its_words() -> None:
    query = [("command", "sh"), ("command", "-c"), ("command", ""), ("output", "1"), ("error", "true"), ("tty", "0")]
    assert read_wish(query) == Wish(("sh", "-c", ""), stdin=False, stdout=True, stderr=True, tty=False)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ([("output", "1")], "you must specify a command"),
        ([("command", "true")], "you must specify at least 1 of stdin, stdout, stderr"),
    ],
)
def test_a_wish_for_nothing_is_refused(query: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        read_wish(query)


@given(st.binary())
def test_what_comes_by_stdin_is_for_the_command(data: bytes) -> None:
    assert read_message(message(Channel.STDIN, data)) == Input(data)


def test_the_end_of_stdin_is_told_by_a_message_of_its_own() -> None:
    assert read_message(b"\xff\x00") == Input(is_last=True)


@pytest.mark.parametrize("other", [b"\xff", b"\xff\x01", b"\xff\x00\x00"])
def test_ends_of_other_streams_are_nothing(other: bytes) -> None:
    assert read_message(other) == Input()


def test_a_terminal_has_a_size() -> None:
    assert read_message(b'\x04{"Width":80,"Height":24}\n') == Resize(80, 24)


@pytest.mark.parametrize(
    "size", [b"", b"[]", b'{"Width":80}', b'{"Width":"wide","Height":1}', b'{"Width":70000,"Height":1}']
)
def test_what_is_no_size_of_a_terminal_is_refused(size: bytes) -> None:
    with pytest.raises(ValueError, match="terminal"):
        read_message(b"\x04" + size)


@given(st.one_of(st.just(b""), st.binary(min_size=1).filter(lambda one: one[0] not in (0, 4, 255))))
def test_what_no_client_may_send_is_refused(sent: bytes) -> None:
    with pytest.raises(ValueError, match="channel"):
        read_message(sent)


def test_success_is_a_status_without_a_reason() -> None:
    assert status(ended(0)) == {"metadata": {}, "status": "Success"}


@given(st.integers(1, 255))
def test_an_exit_code_is_the_cause_of_a_failure(code: int) -> None:
    told = status(ended(code))
    assert (told["status"], told["reason"]) == ("Failure", "NonZeroExitCode")
    assert told["details"] == {"causes": [{"reason": "ExitCode", "message": str(code)}]}


def test_what_did_not_run_has_a_sentence_and_no_exit_code() -> None:
    told = status(failed("no such container"))
    assert (told["status"], told["message"]) == ("Failure", "no such container")
    assert "details" not in told
