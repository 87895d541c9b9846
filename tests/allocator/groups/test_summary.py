"""What `kubectl get servicegroups` shows in its columns."""

from __future__ import annotations

import pytest

from allocator.groups.summary import summary
from allocator.ipam.engine import Usage
from purelb.addresses import Family


@pytest.mark.parametrize(
    ("size", "shown"),
    [(4, "1/4"), (65536, "1/65536"), (2**32, "1/2^32"), (2**64, "1/2^64"), (2**64 - 5, "1/1.8e+19"), (0, "")],
)
def test_a_size_that_nobody_counts_is_a_power_of_two(size: int, shown: str) -> None:
    assert summary([Usage("g", Family.IPV6, size, 1)], [], None)["ipv6"] == shown


def test_of_many_the_first_is_shown_and_how_many_more_there_are() -> None:
    shown = summary([], ["10.31.188.64-10.31.188.126", "10.0.0.0/8", "fd00::/64"], ["shop", "web"])

    assert shown == {"ipv4": "", "ipv6": "", "ranges": "10.31.188.64-…126 +2", "namespaces": "shop +1"}


def test_a_group_without_a_list_of_namespaces_serves_all() -> None:
    assert summary([], ["10.0.0.0/8"], None)["namespaces"] == "all"
    assert summary([], ["10.0.0.0/8"], [])["namespaces"] == ""
