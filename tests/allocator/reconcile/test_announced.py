"""Who announces a VIP, from either form of the annotation."""

from __future__ import annotations

import pytest

from allocator.reconcile.announced import announcer
from purelb import names
from tests.allocator.builders import ip, service


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("w11,eth0", "w11"),
        ("w12,eth0,10.1.0.2 w11,eth0,10.1.0.1", "w11"),
        ("w12,eth0,10.1.0.2", None),
        ("", None),
        (" ".join(["w12,eth0,10.1.0.2"] * 100 + ["w11,eth0,10.1.0.1"]), None),
    ],
)
def test_the_announcer_of_a_services_only_address(text: str, node: str | None) -> None:
    one = service("a", ingress=["10.1.0.1"], annotations={names.ANNOUNCING_IPV4: text})

    assert announcer(one, ip("10.1.0.1")) == node


def test_of_several_addresses_an_entry_without_one_names_none() -> None:
    one = service("a", ingress=["10.1.0.1", "10.1.0.2"], annotations={names.ANNOUNCING_IPV4: "w11,eth0"})

    assert announcer(one, ip("10.1.0.1")) is None
