"""`kubectl purelb vip`: who has an address, and since when."""

from __future__ import annotations

import datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from clusters import NOW, cluster, event, service
from kubectl_purelb.answers import Answer, Table, Text
from kubectl_purelb.commands.vip import vip
from kubectl_purelb.happenings import Event, view_events
from purelb.addresses import IPAddress
from purelb.nodefacts import NodeFacts
from purelb.services import ServiceKey

ADDRESS: IPAddress = ip_address("10.31.188.64")
KEY = ServiceKey("default", "web")


def told(answer: Answer) -> dict[str, str]:
    (table,) = answer.parts
    assert isinstance(table, Table)
    return {str(name): str(value) for name, value in table.rows}


def document(answer: Answer) -> Any:
    return answer.document


def test_who_has_it_and_since_when() -> None:
    taken = event("AnnouncingLocal", "Node w11 announcing 10.31.188.64 on interface eth0", age=60, warns=False)
    others = event("AnnouncingLocal", "Node w12 announcing 10.31.188.64 on interface eth0", age=30, warns=False)
    answer = vip(ADDRESS, cluster(service("web", str(ADDRESS))), {KEY: view_events([others, taken])})

    assert answer.is_well
    assert told(answer) == {
        "address": "10.31.188.64",
        "service": "default/web",
        "pool": "wire",
        "state": "Announced",
        "node": "w11",
        "interface": "eth0",
        "MAC": "-",
        "since": "2026-11-29 11:59:00 UTC",
    }
    assert document(answer)[0]["since"] == (NOW - datetime.timedelta(seconds=60)).isoformat()


def test_by_which_mac_its_node_answers_as_that_nodes_agent_says() -> None:
    facts = {"w11": NodeFacts(macs={ip_network("10.31.0.0/16"): "52:54:00:00:00:0b"})}
    answer = vip(ADDRESS, cluster(service("web", str(ADDRESS))), {}, facts)

    assert told(answer)["MAC"] == "52:54:00:00:00:0b"
    assert document(answer)[0]["mac"] == "52:54:00:00:00:0b"
    elsewhere = vip(ADDRESS, cluster(service("web", str(ADDRESS), node="w12")), {}, facts)
    assert document(elsewhere)[0]["mac"] is None


def test_when_it_was_taken_is_not_known_for_ever() -> None:
    answer = vip(ADDRESS, cluster(service("web", str(ADDRESS))), {})

    assert told(answer)["since"] == "not known: events are kept for an hour"
    assert document(answer)[0]["since"] is None


def test_services_that_share_it_are_all_named() -> None:
    answer = vip(ADDRESS, cluster(service("a", str(ADDRESS)), service("b", str(ADDRESS))), {})

    assert [entry["service"] for entry in document(answer)] == ["default/a", "default/b"]


def test_that_nobody_announces_it_is_not_well() -> None:
    answer = vip(ADDRESS, cluster(service("web", str(ADDRESS), node=None)), {})

    assert not answer.is_well
    assert told(answer)["state"] == "Nowhere: no node says that it announces it"


@pytest.mark.parametrize(
    ("address", "where"),
    [("10.31.188.70", "it is in the pool of ServiceGroup wire"), ("10.9.9.9", "it is in no ServiceGroup's pool")],
)
def test_of_one_that_nobody_has_its_pool_is_said(address: str, where: str) -> None:
    answer = vip(ip_address(address), cluster(service("web", str(ADDRESS))), {})
    (line,) = answer.parts

    assert not answer.is_well
    assert isinstance(line, Text)
    assert line.text == f"no Service that PureLB serves has {address}; {where}"


@pytest.mark.parametrize(
    ("message", "address", "speaks"),
    [
        ("Node a announcing 10.0.0.1 on interface eth0", "10.0.0.1", True),
        ("Node a announcing 10.0.0.11 on interface eth0", "10.0.0.1", False),
        ("Node a announcing 110.0.0.1 on interface eth0", "10.0.0.1", False),
        ("No node announces fd00::1: no live node", "fd00::1", True),
        ("No node announces fd00::: no live node", "fd00::", True),
        ("No node announces fd00::1:2, alas", "fd00::1", False),
        ("It is 10.0.0.1.", "10.0.0.1", True),
    ],
)
def test_an_event_speaks_of_an_address_and_of_none_that_looks_alike(message: str, address: str, speaks: bool) -> None:
    assert Event("AnnouncementFailed", message, NOW, NOW).speaks_of(ip_address(address)) is speaks
