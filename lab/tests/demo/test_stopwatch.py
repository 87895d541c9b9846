"""The stopwatch's packets are ICMP, and its output can be read back."""

from __future__ import annotations

import os
import time

from lab.demo.stopwatch import Replies, Reply, checksum, echo_request, parse_reply

IPV4_HEADER = bytes([0x45]) + bytes(19)


def test_the_checksum_is_that_of_rfc_1071() -> None:
    # The example of RFC 1071, section 3.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


def test_a_packet_with_its_checksum_sums_to_zero() -> None:
    assert checksum(echo_request(8, 7, 1, 12.5)) == 0
    assert checksum(b"\x01\x02\x03") == checksum(b"\x01\x02\x03\x00")


def test_a_reply_tells_when_its_request_was_sent() -> None:
    reply = echo_request(0, 7, 1, 12.5)

    assert parse_reply(IPV4_HEADER + reply, 4, 7) == 12.5
    assert parse_reply(IPV4_HEADER + reply, 4, 8) is None, "somebody else's"
    assert parse_reply(IPV4_HEADER + echo_request(8, 7, 1, 12.5), 4, 7) is None, "a request"
    assert parse_reply(echo_request(129, 7, 1, 3.25), 6, 7) == 3.25
    assert parse_reply(b"\x81\x00", 6, 7) is None


def test_replies_are_read_as_they_come_and_not_after_the_deadline() -> None:
    reading, writing = os.pipe()
    replies = Replies(reading)
    os.write(writing, b"1.0 1.5\n2.0 2.")

    assert replies.next(time.monotonic() + 5) == Reply(1.0, 1.5)
    assert replies.next(time.monotonic()) is None
    os.write(writing, b"25\n")
    assert replies.next(time.monotonic() + 5) == Reply(2.0, 2.25)
    os.close(writing)
    assert replies.next(time.monotonic() + 5) is None
    os.close(reading)
