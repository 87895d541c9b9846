"""What the kernel says of an address, as another implementation writes it, and what follows from it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from lbnodeagent.kernel.addressmessages import DELADDR, INFINITE, NEWADDR, AddressMessage, read_address
from lbnodeagent.kernel.messages import MARK, MessageReader, Notification, RoutesChanged
from lbnodeagent.kernel.notifications import AddressGone, AddressSeen
from lbnodeagent.tables import FOREVER, IfIndex, PresentAddress
from purelb.addresses import IPAddress
from tests.lbnodeagent.scenes import VIP, VIP6

OWN_PORT = 4711


def message(vip: IPAddress, *attributes: tuple[str, Any], kind: int = NEWADDR, port: int = 0, flags: int = 0) -> bytes:
    """As pyroute2 writes it."""
    written = ifaddrmsg()
    written["family"] = socket.AF_INET if vip.version == 4 else socket.AF_INET6
    written["prefixlen"], written["flags"], written["index"] = 16, flags, 7
    written["attrs"] = [("IFA_ADDRESS", str(vip)), *attributes]
    written["header"]["type"], written["header"]["pid"] = kind, port
    written.encode()
    return bytes(written.data)


def cache(preferred: int, valid: int) -> tuple[str, Any]:
    return "IFA_CACHEINFO", {"ifa_preferred": preferred, "ifa_valid": valid, "cstamp": 1, "tstamp": 2}


def read(data: bytes) -> list[Notification]:
    reader = MessageReader(None)
    reader.own_port = OWN_PORT
    said = read_address(data)
    assert said is not None
    return list(reader.read(said, 100.0))


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_an_address_reads_as_it_was_written(vip: IPAddress) -> None:
    data = message(
        vip, ("IFA_LOCAL", str(vip)), ("IFA_LABEL", "eth0:x"), cache(5, 10), ("IFA_FLAGS", 0x280), ("IFA_PROTO", 80)
    )

    assert read_address(data) == AddressMessage(
        False, 0, IfIndex(7), vip, 16, flags=0x280, valid=10, preferred=5, proto=80, label="eth0:x"
    )


def test_what_is_not_said_is_for_ever_and_nobodys() -> None:
    data = message(VIP6, flags=0x80)

    assert read_address(data) == AddressMessage(False, 0, IfIndex(7), VIP6, 16, 0x80, INFINITE, INFINITE, None, None)


def test_the_address_of_a_peer_to_peer_link_is_the_local_one() -> None:
    said = read_address(message(VIP, ("IFA_LOCAL", "10.0.0.1")))

    assert said is not None
    assert str(said.address) == "10.0.0.1"


def test_an_address_of_another_family_is_none_of_ours() -> None:
    data = bytearray(message(VIP))
    data[16] = 45  # AF_MCTP

    assert read_address(bytes(data)) is None


def test_our_mark_and_a_lifetime_are_seen() -> None:
    (seen,) = read(message(VIP, cache(0, 10), ("IFA_PROTO", MARK)))

    assert seen == AddressSeen(PresentAddress(IfIndex(7), VIP, 16, is_ours=True, expires=110.0))


def test_one_of_somebody_else_is_seen_as_that() -> None:
    (seen,) = read(message(VIP, ("IFA_PROTO", 3)))

    assert seen == AddressSeen(PresentAddress(IfIndex(7), VIP, 16, is_ours=False, expires=FOREVER))


def test_what_we_took_away_ourselves_is_known_by_our_port() -> None:
    ours = message(VIP, ("IFA_PROTO", MARK), kind=DELADDR, port=OWN_PORT)
    others = message(VIP, ("IFA_PROTO", MARK), kind=DELADDR, port=9)

    assert read(ours) == [AddressGone(IfIndex(7), VIP, 16, OWN_PORT, is_own_doing=True)]
    assert read(others) == [AddressGone(IfIndex(7), VIP, 16, 9, is_own_doing=False)]


def test_routes_may_go_with_an_address_that_is_not_ours() -> None:
    assert read(message(VIP, kind=DELADDR)) == [AddressGone(IfIndex(7), VIP, 16), RoutesChanged()]
