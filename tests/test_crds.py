"""The CRDs' rules and the programs' parsers judge alike: what is taken at apply is understood, what isn't is wrong."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedouble.crds import CustomKind
from purelb.errors import SpecError
from purelb.nodeagents import parse_node_agent
from purelb.servicegroups import parse_service_group
from tests.install.objects import RIGHT, WRONG, Case

CRDS = Path(__file__).parents[1] / "crds"
Address = IPv4Address | IPv6Address


@cache
def kind(name: str) -> CustomKind:
    plural = f"{name.lower()}s.purelb.io"
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return CustomKind(crd["spec"]["versions"][0], name)


def is_taken(body: dict[str, Any]) -> bool:
    """Whether `kubectl apply` would take it."""
    ours = kind(body["kind"])
    clean, _ = ours.decode(body)
    ours.default(clean)
    found = ours.validate(clean)
    return not found and not ours.check_rules(clean, None, found)


def is_understood(body: dict[str, Any]) -> bool:
    try:
        parse_service_group(body) if body["kind"] == "ServiceGroup" else parse_node_agent(body)
    except SpecError:
        return False
    return True


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: f"{case.kind} {case.title}")
def test_what_is_taken_is_understood(case: Case) -> None:
    body = case.body("v1")

    assert is_taken(body)
    assert is_understood(body)


# What a program would make the best of, or leave to another check, is refused at apply all the same.
LENIENT = {
    "namespace-in-capitals",
    "relative-socket",
    "too-many-ranges",
    "look-ahead",
    "slow-announcements",
    "lifetimes-crossed",
    "negative-lifetime",
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case.kind} {case.title}")
def test_what_is_refused_is_refused_by_the_parser_too_or_known_to_be_harmless(case: Case) -> None:
    body = case.body("v1")

    assert not is_taken(body)
    assert is_understood(body) == (body["metadata"]["name"] in LENIENT)


def texts(address: Address) -> st.SearchStrategy[str]:
    forms = [str(address), address.exploded.upper()] if address.version == 6 else [str(address)]
    return st.sampled_from(forms)


# Parts that are alike, zero, or differ in length, so that the shortened forms of IPv6 differ.
PART = st.sampled_from([0, 1, 9, 0xA, 0x10, 0xFF, 0x100, 0xFFFF])
V6 = st.lists(PART, min_size=6, max_size=6).map(
    lambda parts: ip_address("fd00:1:" + ":".join(f"{part:x}" for part in parts))
)
V4 = st.lists(st.sampled_from([0, 1, 9, 10, 99, 100, 255]), min_size=3, max_size=3).map(
    lambda parts: ip_address(f"10.{parts[0]}.{parts[1]}.{parts[2]}")
)


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    """A group with one range, whose ends and subnet go together or don't."""
    addresses, name = draw(st.sampled_from([(V4, "v4pool"), (V6, "v6pool")]))
    first, last = draw(addresses), draw(addresses)
    bits = first.max_prefixlen
    subnet = ip_network((draw(st.sampled_from([first, last])), draw(st.integers(8, bits))), strict=False)
    dash = draw(st.sampled_from(["-", " - "]))
    pool = f"{draw(texts(first))}{dash}{draw(texts(last))}"
    if draw(st.booleans()):
        pool = f"{pool},{draw(texts(last))}/{bits}"
    spec = {"local": {name: {"pool": pool, "subnet": str(subnet), "aggregation": draw(st.sampled_from(["", "/24"]))}}}
    return {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": "drawn", "namespace": "purelb"},
        "spec": spec,
    }


def overlaps_itself(body: dict[str, Any]) -> bool:
    """Ranges of one group that overlap are left to the allocator."""
    try:
        parse_service_group(body)
    except SpecError as error:
        return "overlap" in str(error)
    return False


@settings(max_examples=60, deadline=None)
@given(groups())
def test_order_and_containment_are_judged_alike(body: dict[str, Any]) -> None:
    assert is_taken(body) == (is_understood(body) or overlaps_itself(body)), body["spec"]
