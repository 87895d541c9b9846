"""What an LBNodeAgent may say of the way of answers."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from purelb.errors import SpecError
from purelb.nodeagents import parse_node_agent
from purelb.returnpath import MARK_BITS, ReturnPath, parse_return_path


@pytest.mark.parametrize("block", [None, {}, {"enabled": False, "gateways": ["10.0.0.1"]}])
def test_it_is_off_unless_it_is_said(block: dict[str, Any] | None) -> None:
    assert parse_return_path(block) is None


def test_switched_on_it_needs_nothing_else() -> None:
    body = {"metadata": {"name": "default"}, "spec": {"local": {"returnPath": {"enabled": True}}}}

    assert parse_node_agent(body).return_path == ReturnPath((), MARK_BITS)


def test_gateways_and_bits_are_taken_as_they_are_meant() -> None:
    block = {"enabled": True, "gateways": ["172.30.0.254", "fd00:172:30::fe"], "markBits": [5, 4, 5]}

    wanted = ReturnPath((ip_address("172.30.0.254"), ip_address("fd00:172:30::fe")), (4, 5))
    assert parse_return_path(block) == wanted


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"gateways": ["router"]}, 'returnPath.gateways: "router" is no address'),
        ({"gateways": ["fe80::1"]}, "no router's address on a subnet"),
        ({"gateways": ["224.0.0.1"]}, "no router's address on a subnet"),
        ({"markBits": []}, "one to 3 bits, each from 0 to 31"),
        ({"markBits": [1, 2, 3, 4]}, "one to 3 bits, each from 0 to 31"),
        ({"markBits": [32]}, "one to 3 bits, each from 0 to 31"),
        ({"markBits": [12, 14]}, "bits 14 and 15 are kube-proxy's"),
    ],
)
def test_what_can_not_be_is_refused_with_a_sentence(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_return_path({"enabled": True, **more})
