"""What the kernel is asked for, by how the next agent will know the address."""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbnodeagent.errors import AddressTaken, KernelError
from lbnodeagent.kernel.addressmessages import INFINITE
from lbnodeagent.kernel.messages import MARK
from lbnodeagent.kernel.placing import EXPIRY_SLACK, UNNOTED, Telling, new_address, result_of
from lbnodeagent.tables import FOREVER, Place, PresentAddress, Remove, Spot
from purelb.addresses import IPAddress
from purelb.nodeagents import DUMMY_ADDRESSING, LOCAL_ADDRESSING
from tests.lbnodeagent.scenes import DUMMY, ETH0, ROUTED, VIP, VIP6

ROUTED6 = ip_address("fd00:10:189::1")


def on_nic(vip: IPAddress) -> Place:
    return Place(vip, Spot(ETH0, "eth0", 16, True, LOCAL_ADDRESSING))


def on_dummy(vip: IPAddress) -> Place:
    return Place(vip, Spot(DUMMY, "kube-lb0", vip.max_prefixlen, False, DUMMY_ADDRESSING))


def test_an_address_carries_the_mark_where_the_kernel_keeps_it_and_a_label_where_it_does_not() -> None:
    assert [(new_address(on_nic(VIP), how).proto, new_address(on_nic(VIP), how).label) for how in TELLINGS] == [
        (MARK, None),
        (None, "eth0:purelb"),
        (None, "eth0:purelb"),
    ]
    assert new_address(on_nic(VIP6), "noted").label is None


TELLINGS: tuple[Telling, ...] = ("marked", "noted", "unnoted")


@pytest.mark.parametrize("how", TELLINGS)
def test_one_that_nothing_would_tell_of_gets_an_end(how: Telling) -> None:
    ends = how == "unnoted"

    assert new_address(on_dummy(ROUTED6), how).valid == (UNNOTED - EXPIRY_SLACK if ends else INFINITE)
    there = result_of(on_dummy(ROUTED6), how, 0, 1000.0)
    assert isinstance(there, PresentAddress)
    assert there.expires == (1000.0 + UNNOTED - EXPIRY_SLACK if ends else FOREVER)
    assert new_address(on_dummy(ROUTED), how).valid == INFINITE  # its label tells


def test_nor_does_it_live_for_longer_where_its_group_says_so() -> None:
    hour = replace(DUMMY_ADDRESSING, valid_lifetime=3600)
    place = Place(ROUTED6, Spot(DUMMY, "kube-lb0", 128, False, hour))

    assert new_address(place, "noted").valid == 3600 - EXPIRY_SLACK
    assert new_address(place, "unnoted").valid == UNNOTED - EXPIRY_SLACK
    assert new_address(on_nic(VIP6), "unnoted").valid == LOCAL_ADDRESSING.valid_lifetime - EXPIRY_SLACK


def test_an_answer_says_what_is_there_or_why_not() -> None:
    taken = result_of(on_nic(VIP), "marked", errno.EEXIST, 0.0)
    removal = Remove(VIP, ETH0, "eth0", 16)

    assert isinstance(taken, AddressTaken)
    assert result_of(removal, "marked", errno.EADDRNOTAVAIL, 0.0) is None
    assert isinstance(result_of(removal, "marked", errno.EPERM, 0.0), KernelError)
