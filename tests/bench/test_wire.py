"""The arithmetic on what was seen: silences, lost replies, times with two owners."""

from __future__ import annotations

import socket
import struct

import pytest

from bench.pinger import HEADER, Target, reply_of
from bench.wire import Change, Doubled, Trace, doubled, holdings, parse_change


def trace(*pairs: tuple[float, float | None]) -> Trace:
    return Trace("10.31.64.1", tuple(sent for sent, _ in pairs), tuple(received for _, received in pairs))


def test_silence_is_the_longest_time_between_two_replies() -> None:
    seen = trace((0.0, 0.1), (1.0, 1.1), (2.0, None), (3.0, None), (4.0, 4.2), (5.0, 5.1))

    assert seen.silence() == pytest.approx(3.1)
    assert seen.lost() == 2


def test_an_address_that_never_answers_again_is_silent_to_the_end() -> None:
    assert trace((0.0, 0.1), (1.0, None), (5.0, None)).silence() == pytest.approx(4.9)
    assert trace((0.0, None), (5.0, None)).silence() == pytest.approx(5.0)


def test_silences_are_told_one_by_one() -> None:
    seen = trace((0.0, 0.1), (1.0, None), (2.0, 2.1), (2.5, 2.6), (3.0, None), (4.0, 4.6))

    assert seen.silences(1.5) == [(0.1, 2.1), (2.6, 4.6)]
    assert seen.silences(3.0) == []


def test_a_span_leaves_out_what_was_sent_before_and_after() -> None:
    seen = trace((0.0, None), (1.0, 1.1), (2.0, 2.1), (3.0, None))

    assert seen.lost(0.5, 2.5) == 0
    assert seen.silence(0.5, 2.5) == pytest.approx(1.0)
    assert seen.silence(9.0) == 0.0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "[1970-01-01T00:01:40.500000] 2: eth0    inet 10.31.64.1/16 brd 10.31.255.255 scope global secondary eth0",
            Change(90.5, "a", "eth0", "10.31.64.1", True, 16),
        ),
        (
            "[1970-01-01T00:01:40.500000] Deleted 2: eth0    inet6 fd00::1/64 scope global",
            Change(90.5, "a", "eth0", "fd00::1", False, 64),
        ),
        ("[1970-01-01T00:01:40.500000] Deaf to something", None),
    ],
)
def test_the_kernels_changes_are_read(line: str, expected: Change | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")

    assert parse_change(line, "a", 10.0) == expected


def test_two_owners_are_counted_pair_by_pair() -> None:
    changes = [
        Change(2.0, "b", "eth0", "vip", True),
        Change(3.0, "a", "eth0", "vip", True),  # a renewal: it is there already
        Change(4.0, "c", "eth0", "vip", True),
        Change(5.0, "a", "eth0", "vip", False),
        Change(7.0, "b", "eth0", "vip", False),
    ]

    held = holdings({"a": ["vip", "other"]}, changes, begin=0.0, end=9.0)

    assert held.holders("vip") == {"a": [(0.0, 5.0)], "b": [(2.0, 7.0)], "c": [(4.0, 9.0)]}
    assert doubled(held.holders("vip")) == [
        Doubled(2.0, 5.0, frozenset("ab")),
        Doubled(4.0, 5.0, frozenset("ac")),
        Doubled(4.0, 7.0, frozenset("bc")),
    ]
    assert doubled(held.holders("other")) == []


def test_a_hand_over_without_overlap_has_no_two_owners() -> None:
    assert doubled({"a": [(0.0, 5.0)], "b": [(5.0, 9.0)]}) == []


@pytest.mark.parametrize(("address", "family", "kind"), [("192.0.2.1", 4, 0), ("2001:db8::1", 6, 129)])
def test_a_reply_is_matched_with_its_request(address: str, family: int, kind: int) -> None:
    target = Target(3, address, identifier=77)
    for _ in range(70_000):  # the sequence number on the wire has 16 bits
        request = target.request(1.0)
    reply = bytes([kind]) + request[1:]
    packet = bytes([0x45]) + bytes(19) + reply if family == 4 else reply

    assert reply_of(packet, target.family, 77) == (3, 69_999)
    assert reply_of(packet, target.family, 78) is None
    assert reply_of(packet[:-1], target.family, 77) is None
    assert target.family == (socket.AF_INET if family == 4 else socket.AF_INET6)


def test_a_request_carries_a_right_checksum() -> None:
    words = struct.unpack(f"!{HEADER.size // 2}H", Target(1, "192.0.2.1", 5).request(0.0))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)

    assert total == 0xFFFF
