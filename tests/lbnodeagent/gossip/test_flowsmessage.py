"""What nodes tell each other of flows, as bytes."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.flowsmessage import FLOWS_MOST, FlowsMessage, decode_flows, encode_flows

VIP, SERVER = IPv4Address("10.31.188.64"), IPv4Address("10.31.188.11")


def flow(number: int, size: int = 9) -> bytes:
    return number.to_bytes(size, "big")


MESSAGE = FlowsMessage("w11", VIP, SERVER, (flow(1), flow(2)), (flow(3),), is_first=True, is_last=True)


@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        FlowsMessage("w11", VIP, SERVER, is_last=True),
        FlowsMessage("w11", IPv6Address("fd00::64"), IPv6Address("fd00::11"), (flow(1, 21),), (flow(2, 21),)),
    ],
    ids=["IPv4", "nothing", "IPv6"],
)
def test_a_message_is_read_as_it_was_written(message: FlowsMessage) -> None:
    (payload,) = encode_flows(message)

    assert decode_flows(payload) == message


def test_many_flows_go_in_parts_of_which_the_first_and_the_last_say_so() -> None:
    begun = tuple(flow(number) for number in range(2 * FLOWS_MOST))
    ended = tuple(flow(number) for number in range(FLOWS_MOST, FLOWS_MOST + FLOWS_MOST // 2))

    payloads = encode_flows(replace(MESSAGE, begun=begun, ended=ended))

    parts = [part for payload in payloads if (part := decode_flows(payload)) is not None]
    assert [(part.is_first, part.is_last) for part in parts] == [(True, False), (False, False), (False, True)]
    assert tuple(one for part in parts for one in part.begun) == begun
    assert tuple(one for part in parts for one in part.ended) == ended
    assert max(map(len, payloads)) < 1 << 17


def test_a_message_of_another_kind_is_left_to_others() -> None:
    assert decode_flows(b"PL\x01a...") is None


def test_addresses_of_two_families_contradict_each_other() -> None:
    (payload,) = encode_flows(replace(MESSAGE, server=ip_address("fd00::11")))

    with pytest.raises(MetaError):
        decode_flows(payload)


@given(st.integers(0, 200), st.binary(max_size=50))
def test_what_cannot_be_read_raises_nothing_else(kept: int, garbage: bytes) -> None:
    (payload,) = encode_flows(MESSAGE)

    with contextlib.suppress(MetaError):
        decode_flows(payload[:kept] + garbage)
