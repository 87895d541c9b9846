"""What answers mean: bytes in, values or one of our errors out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purelb.answers import LONGEST_WAIT, Lines, decode_event, decode_object, decode_page, refusal
from purelb.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)

POD = {"kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7"}}
NO_OBJECTS = [
    b"",
    b"<html><body>Welcome</body></html>",
    b'{"kind": "Pod", "metad',
    b"null",
    b"[]",
    b'"Pod"',
    b"{}",
    b'{"status": "ok"}',
    b'{"kind": "Pod", "metadata": null}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]
NO_LISTS: list[Any] = [
    {"kind": "List", "metadata": {}},
    {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": {}},
    {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": [1]},
    {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": [{"metadata": {}}]},
    {"kind": "List", "metadata": {"resourceVersion": "7", "continue": 5}, "items": []},
]
NO_EVENTS: list[Any] = [
    [],
    {},
    {"type": "ADDED"},
    {"type": "ADDED", "object": []},
    {"type": "ADDED", "object": {"kind": "Pod"}},
    {"type": "ADDED", "object": {"metadata": {"name": "a"}}},
    {"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}}},
    {"type": "SURPRISE", "object": POD},
    {"type": ["ADDED"], "object": POD} | {"type": None},
]


@pytest.mark.parametrize("data", NO_OBJECTS)
def test_what_is_no_object_was_not_said_by_an_api_server(data: bytes) -> None:
    with pytest.raises(UnavailableError, match="the answer to GET /x is no"):
        decode_object(data, "GET /x")


@pytest.mark.parametrize("answer", NO_LISTS)
def test_what_is_no_list_likewise(answer: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError, match="is no list"):
        decode_page(answer, "GET /x")


def test_a_list_without_items_is_empty() -> None:
    answer = {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": None}

    page = decode_page(answer, "GET /x")

    assert (page.items, page.resource_version, page.token) == ([], "7", "")


@pytest.mark.parametrize("event", NO_EVENTS)
def test_what_is_no_event_likewise(event: Any) -> None:
    with pytest.raises(UnavailableError, match="no event"):
        decode_event(json.dumps(event).encode(), "the watch")


def test_an_event_is_taken_as_it_is_and_a_bookmark_needs_no_name() -> None:
    for event in (
        {"type": "DELETED", "object": POD},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}},
    ):
        assert decode_event(json.dumps(event).encode(), "the watch") == event


@pytest.mark.parametrize(
    ("code", "kind"), [(410, GoneError), (401, UnauthorizedError), (500, UnavailableError), ("?", UnavailableError)]
)
def test_an_error_in_a_watch_has_the_type_of_its_code(code: Any, kind: type[KubeError]) -> None:
    event = {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "no"}}

    with pytest.raises(kind, match="no"):
        decode_event(json.dumps(event).encode(), "the watch")


REFUSALS: list[tuple[int, type[KubeError]]] = [
    (400, InvalidError),
    (401, UnauthorizedError),
    (403, ForbiddenError),
    (404, NotFoundError),
    (409, ConflictError),
    (410, GoneError),
    (413, InvalidError),
    (422, InvalidError),
    (429, UnavailableError),
    (500, UnavailableError),
    (503, UnavailableError),
    (302, UnavailableError),
]


@pytest.mark.parametrize(("code", "kind"), REFUSALS)
def test_a_refusal_has_the_type_of_its_status(code: int, kind: type[KubeError]) -> None:
    body = {"kind": "Status", "code": code, "reason": "Because", "message": "not today", "details": {"name": "web"}}

    error = refusal(code, {}, json.dumps(body).encode())

    assert type(error) is kind
    assert (str(error), error.status, error.reason) == ("not today", code, "Because")


@pytest.mark.parametrize("code", [400, 403, 422])
@pytest.mark.parametrize(
    "message",
    [
        "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not today",
        'admission webhook "policy.example.com" denied the request: not today',
        'admission webhook "policy.example.com" denied the request without explanation',
    ],
)
def test_what_admission_denies_is_no_matter_of_content_and_may_be_allowed_tomorrow(code: int, message: str) -> None:
    body = {"kind": "Status", "code": code, "reason": "Invalid", "message": message, "details": {"name": "a"}}

    assert type(refusal(code, {}, json.dumps(body).encode())) is ForbiddenError


@pytest.mark.parametrize("details", [{}, {"name": ""}, None, "web"])
def test_a_path_that_is_not_served_says_nothing_of_the_object(details: object) -> None:
    message = "the server could not find the requested resource"
    body = {"kind": "Status", "code": 404, "reason": "NotFound", "message": message, "details": details}

    assert type(refusal(404, {}, json.dumps(body).encode())) is UnavailableError


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422, 502])
def test_what_a_proxy_refuses_says_nothing_of_the_object(code: int) -> None:
    error = refusal(code, {}, b"<html>\n<h1>default backend</h1>\n")

    assert type(error) is UnavailableError
    assert str(error) == f"HTTP status {code}: <html> <h1>default backend</h1>"


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("999999999", LONGEST_WAIT), ("soon", None), ("-1", None), ("", None)]
)
def test_retry_after_is_obeyed_within_reason(header: str, seconds: float | None) -> None:
    assert refusal(429, {"Retry-After": header}, b"{}").retry_after == seconds


@given(st.binary(max_size=64))
def test_garbage_raises_only_errors_of_the_api(data: bytes) -> None:
    for decode in (decode_object, decode_event):
        with pytest.raises(UnavailableError):
            decode(data, "it")
    assert isinstance(refusal(500, {}, data), UnavailableError)


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_come_out_as_they_were_however_they_were_cut(lines: list[bytes], size: int) -> None:
    text, cutter = b"".join(line + b"\n" for line in lines), Lines("the watch")

    seen = [line for start in range(0, len(text), size) for line in cutter.feed(text[start : start + size])]

    assert seen == lines
    cutter.end()


def test_an_endless_line_is_cut_off() -> None:
    cutter = Lines("the watch", longest=100)
    assert list(cutter.feed(b"x" * 100)) == []

    with pytest.raises(UnavailableError, match="more than 100 bytes in one line"):
        list(cutter.feed(b"x"))


def test_an_end_within_a_line_is_no_good_end() -> None:
    cutter = Lines("the watch")
    assert list(cutter.feed(b"one\ntw")) == [b"one"]

    with pytest.raises(UnavailableError, match="in the middle of an event"):
        cutter.end()
