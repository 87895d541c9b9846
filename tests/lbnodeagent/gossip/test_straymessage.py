"""What nodes ask each other of connections, as bytes."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.straymessage import (
    STRAYS_MOST,
    StrayAnswer,
    StrayMessage,
    StrayQuestion,
    decode_strays,
    encode_strays,
    is_of_strays,
)

V4, V6 = ip_address("10.31.188.11"), ip_address("fd00::11")


@pytest.mark.parametrize(
    "message",
    [
        StrayQuestion("w11", 1, V4, (bytes(12), b"x" * 12)),
        StrayQuestion("w11", 2**40, V6, (b"y" * 36,)),
        StrayQuestion("w11", 3, V4, ()),
        StrayAnswer("w11", 1, V4, ((0, 432000), (4999, 0))),
        StrayAnswer("w11", 1, V6, ()),
    ],
)
def test_a_message_is_read_as_it_was_written(message: StrayMessage) -> None:
    payload = encode_strays(message)

    assert is_of_strays(payload)
    assert decode_strays(payload) == message


def test_another_kind_of_message_is_none() -> None:
    assert decode_strays(b"PL\x01f") is None


QUESTION = encode_strays(StrayQuestion("w11", 1, V4, (bytes(12),)))


@pytest.mark.parametrize(
    "payload",
    [
        QUESTION[:4],
        QUESTION[:6],
        QUESTION[:16],
        QUESTION[:20],
        QUESTION[:-1],
        QUESTION[:4] + b"\0" + QUESTION[8:],
        QUESTION[:5] + b"\xff" + QUESTION[6:],
        QUESTION + bytes(12 * STRAYS_MOST),
    ],
    ids=["no name", "half a name", "no version", "half an address", "half a stray", "nobody", "no UTF-8", "too many"],
)
def test_what_cant_be_read_is_an_error(payload: bytes) -> None:
    with pytest.raises(MetaError):
        decode_strays(payload)
