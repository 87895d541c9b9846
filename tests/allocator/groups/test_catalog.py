"""ServiceGroup objects: which are served, and what is said on the others."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from allocator.groups.catalog import GroupKey, read_catalog
from allocator.groups.status import group_status, status_change
from allocator.ipam.engine import Usage
from purelb.addresses import Family
from tests.allocator.builders import entries, group_body, local

NOW = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)


def said(*bodies: dict[str, Any]) -> dict[str, tuple[str, str]]:
    verdicts = read_catalog(bodies).verdicts
    return {str(key): (verdict.notice.reason, verdict.notice.message) for key, verdict in verdicts.items()}


def test_a_good_group_is_parsed_in_purelb_s_words() -> None:
    assert said(group_body("layer2-ippool", local=local("10.31.188.64-10.31.188.126"))) == {
        "purelb/layer2-ippool": ("Parsed", "ServiceGroup parsed successfully")
    }


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"local": {"v4pool": {"subnet": "10.0.0.0/24", "pool": "10.0.1.0/24"}}},
            "local.v4pool.pool 10.0.1.0/24 is not contained in its subnet 10.0.0.0/24",
        ),
        (
            {"local": local("10.0.0.9-10.0.0.1")},
            'the range "10.0.0.9-10.0.0.1" is upside down: its first address is above its last',
        ),
        (
            {"local": local("garbage")},
            '"garbage" is neither a CIDR, nor a range such as 192.168.1.10-192.168.1.20, nor an address',
        ),
        ({}, "the spec has no pool: it needs exactly one of local, remote, external or netbox"),
        (
            {"local": {"v4pools": entries("10.0.0.0/24", "10.0.0.128/25")}},
            "the ranges 10.0.0.0/24 and 10.0.0.128/25 of this group overlap",
        ),
    ],
)
def test_a_bad_group_says_what_is_wrong_and_the_others_are_served(spec: dict[str, Any], sentence: str) -> None:
    bodies = [group_body("good", local=local("10.7.0.0/24")), group_body("bad", **spec)]

    assert said(*bodies) == {
        "purelb/good": ("Parsed", "ServiceGroup parsed successfully"),
        "purelb/bad": ("ParseFailed", f"Failed to parse: {sentence}"),
    }
    assert list(read_catalog(bodies).groups.served) == ["good"]


def test_a_spec_of_another_shape_is_refused_like_any_other() -> None:
    body = group_body("odd", local=[1, 2])

    reason, message = said(body)["purelb/odd"]

    assert reason == "ParseFailed"
    assert message.startswith("Failed to parse: the spec is malformed")


def test_the_group_that_was_there_first_is_served_whatever_its_name() -> None:
    old = group_body("zebra", age=60, local=local("10.0.0.0/24"))
    young = group_body("ant", local=local("10.0.0.128/25"))

    assert said(young, old) == {
        "purelb/zebra": ("Parsed", "ServiceGroup parsed successfully"),
        "purelb/ant": (
            "ParseFailed",
            'Pool overlaps with already defined pool "zebra"; leave each address to one of the two',
        ),
    }


def test_one_name_in_two_namespaces_is_served_once() -> None:
    first = group_body("pool", namespace="a", local=local("10.0.0.0/24"))
    second = group_body("pool", namespace="b", local=local("10.1.0.0/24"))

    assert said(first, second)["b/pool"] == ("ParseFailed", "Duplicate definition of pool pool")


def test_a_netbox_group_needs_the_token() -> None:
    body = group_body("netbox", netbox={"url": "http://netbox.example/", "tenant": "t"})

    assert said(body)["purelb/netbox"] == (
        "ParseFailed",
        "Failed to parse: NETBOX_USER_TOKEN not set, can't connect to Netbox",
    )
    assert list(read_catalog([body], has_netbox_token=True).groups.served) == ["netbox"]


# --- status ----------------------------------------------------------------------------------------------------------


def status(body: dict[str, Any], *usages: Usage, before: dict[str, Any] | None = None) -> dict[str, Any]:
    catalog = read_catalog([group_body("first", age=9, local=local("10.200.0.0/24")), body])
    return group_status(catalog.verdicts[GroupKey("purelb", body["metadata"]["name"])], usages, before or {}, NOW)


def conditions(of: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["message"]) for condition in of["conditions"]}


def test_the_nodes_that_a_selector_chooses_are_in_the_status_and_stay_while_they_are_not_known() -> None:
    body = group_body("g", remote=local("10.0.0.0/30"), nodeSelector={"matchLabels": {"rack": "a"}})
    catalog = read_catalog([body, group_body("h", remote=local("10.1.0.0/30"))])
    with_one, without = (catalog.verdicts[GroupKey("purelb", name)] for name in "gh")

    shown = group_status(with_one, [], {}, NOW, chosen=["w11"])
    assert shown["nodes"] == ["w11"]
    assert group_status(with_one, [], shown, NOW)["nodes"] == ["w11"]
    assert "nodes" not in group_status(with_one, [], {}, NOW)
    assert "nodes" not in group_status(without, [], {}, NOW, chosen=["w11"])
    assert status_change({}, {"nodes": ["w11"]}) == {"nodes": None}


def test_the_status_answers_how_full_a_group_is() -> None:
    body = group_body("g", remote=local("10.0.0.0/30", "fd00::/64"), namespaces=["shop"])

    shown = status(body, Usage("g", Family.IPV4, 4, 3), Usage("g", Family.IPV6, 2**64, 1))

    times = [condition.pop("lastTransitionTime") for condition in shown["conditions"]]
    assert times == ["2026-03-01T12:00:00Z"] * 3
    assert shown == {
        "announce": "Remote",
        "ipam": "Cluster",
        "addresses": ["10.0.0.0/30", "fd00::/64"],
        "allocatedIPv4": 3,
        "allocatedIPv6": 1,
        "availableIPv4": 1,
        "availableIPv6": 2**63 - 1,
        "boundNamespaces": ["shop"],
        "summary": {"ipv4": "3/4", "ipv6": "1/2^64", "ranges": "10.0.0.0/30 +1", "namespaces": "shop"},
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Served",
                "message": "the allocator serves this ServiceGroup",
            },
            {
                "type": "Overlaps",
                "status": "False",
                "reason": "NoOverlap",
                "message": "no other ServiceGroup has these addresses",
            },
            {
                "type": "Exhausted",
                "status": "False",
                "reason": "FreeAddresses",
                "message": "there are free IPv4 and IPv6 addresses",
            },
        ],
    }


def test_a_full_group_is_exhausted() -> None:
    shown = status(group_body("g", local=local("10.0.0.0/30")), Usage("g", Family.IPV4, 4, 4))

    assert conditions(shown)["Exhausted"] == ("True", "no free IPv4 address")


def test_a_refused_group_says_why_and_nothing_else() -> None:
    shown = status(group_body("g", local=local("10.200.0.7/32")))

    sentence = 'Pool overlaps with already defined pool "first"; leave each address to one of the two'
    assert conditions(shown) == {
        "Ready": ("False", sentence),
        "Overlaps": ("True", sentence),
        "Exhausted": ("Unknown", "this ServiceGroup is not served, so it gives no addresses"),
    }
    assert "ipam" not in shown
    assert {condition["reason"] for condition in shown["conditions"]} == {"Refused", "Overlap", "NotServed"}


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    body = group_body("g", local=local("10.0.0.0/30"))
    before = status(body, Usage("g", Family.IPV4, 4, 3))
    verdict = read_catalog([body]).verdicts[GroupKey("purelb", "g")]

    after = group_status(verdict, [Usage("g", Family.IPV4, 4, 4)], before, LATER)

    times = {condition["type"]: condition["lastTransitionTime"] for condition in after["conditions"]}
    assert times["Ready"] == "2026-03-01T12:00:00Z"
    assert times["Exhausted"] == "2026-03-01T13:00:00Z"


def test_a_status_that_is_right_is_not_written_again_and_a_stale_field_is_removed() -> None:
    body = group_body("g", local=local("10.0.0.0/30"))
    shown = status(body, Usage("g", Family.IPV4, 4, 3))

    assert status_change(shown, shown) == {}
    assert status_change(shown, {**shown, "boundNamespaces": ["x"], "allocatedIPv4": 9}) == {
        "allocatedIPv4": 3,
        "boundNamespaces": None,
    }
