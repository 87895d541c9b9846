"""What the kernel passes on to who listens for clients of other subnets: the filter, carried out here as it does."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from lbnodeagent.checkup.clients import Client
from lbnodeagent.checkup.listening import SUBNETS, client_of, program

LAN, OTHER = IPv4Network("10.31.0.0/16"), IPv4Network("10.32.7.0/24")


def frame(source: str, destination: str) -> bytes:
    return b"\0" * 12 + b"\x08\x00" + b"\0" * 12 + IPv4Address(source).packed + IPv4Address(destination).packed


def passes(steps: list[tuple[int, int, int, int]], packet: bytes) -> bool:
    accumulator, at = 0, 0
    while True:
        code, if_so, if_not, k = steps[at]
        at += 1
        match code:
            case 0x20:
                accumulator = int.from_bytes(packet[k : k + 4])
            case 0x54:
                accumulator &= k
            case 0x15:
                at += if_so if accumulator == k else if_not
            case 0x06:
                return k > 0


@pytest.mark.parametrize("subnets", [[LAN], [OTHER, LAN], [LAN, OTHER]])
def test_what_comes_from_another_subnet_for_an_address_of_the_nics_is_passed_on(subnets: list[IPv4Network]) -> None:
    steps = program(subnets)

    assert passes(steps, frame("192.168.9.9", "10.31.188.64"))
    assert not passes(steps, frame("10.31.100.2", "10.31.188.64"))
    assert not passes(steps, frame("192.168.9.9", "192.168.9.10"))
    assert passes(steps, frame("192.168.9.9", "10.32.7.9")) is (OTHER in subnets)


def test_jumps_have_eight_bits_however_many_subnets_there_are() -> None:
    steps = program([IPv4Network((number << 24, 8)) for number in range(SUBNETS)])

    assert max(max(if_so, if_not) for _, if_so, if_not, _ in steps) < 256


def test_without_a_subnet_nothing_is_passed_on() -> None:
    assert not passes(program([]), frame("192.168.9.9", "10.31.188.64"))


def test_a_frame_says_who_sent_it_and_where_to() -> None:
    assert client_of(frame("192.168.9.9", "10.31.188.64")) == Client(
        IPv4Address("192.168.9.9"), IPv4Address("10.31.188.64")
    )
    assert client_of(b"\0" * 33) is None
