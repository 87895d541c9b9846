"""Findings and facts of a node travel through annotations, whatever somebody else has written there."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network

import pytest

from purelb import checks, nodefacts
from purelb.checks import MOST, Check, Finding, read_findings
from purelb.nodefacts import NodeFacts, read_facts

FOUND = (Finding(Check.ARP_MUTE, "eth0 answers nothing", "sysctl -w ..."), Finding(Check.RP_FILTER, "it drops", "do"))
LAN = ip_network("10.31.0.0/16")
FACTS = NodeFacts({LAN: 1500}, frozenset({ip_address("10.31.254.251")}), ("ab12", "cd34"), {LAN: "52:54:00:00:00:0b"})
NONSENSE = ["", "null", "7", "[]", "{}", '"x"', "[[", '[{"check":[]}]', '[{"check":"arp-mute"}]', "[7]", "[" * 9000]


def test_findings_come_back_as_they_were_with_whom_they_concern() -> None:
    back = read_findings(checks.told(FOUND), "node w11")

    assert [(one.check, one.what, one.remedy) for one in back] == [(one.check, one.what, one.remedy) for one in FOUND]
    assert {one.about for one in back} == {"node w11"}


def test_facts_come_back_as_they_were() -> None:
    assert read_facts(nodefacts.told(FACTS)) == FACTS


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_none_is_left_out(text: str) -> None:
    assert read_findings(text, "node w11") == ()
    assert read_facts(text) == NodeFacts()


def test_a_check_of_a_later_version_is_left_out_and_the_rest_is_read() -> None:
    text = json.dumps([{"check": "not-yet-known", "what": "x"}, {"check": "arp-mute", "what": "y", "remedy": None}])

    assert [one.check for one in read_findings(text, "")] == [Check.ARP_MUTE]


def test_facts_that_are_partly_nonsense_are_read_as_far_as_they_go() -> None:
    text = json.dumps(
        {
            "mtus": {"x": 1, "10.31.0.0/16": "2", "10.32.0.0/16": 9000},
            "gateways": ["x", 7],
            "keys": [1, "a"],
            "macs": {"10.31.0.0/16": "52:54:00:00:00:0b\u001b", "10.32.0.0/16": 7, "x": "52:54:00:00:00:0b"},
        }
    )

    assert read_facts(text) == NodeFacts({ip_network("10.32.0.0/16"): 9000}, frozenset(), ("a",))


def test_what_is_told_is_bounded() -> None:
    many = [Finding(Check.ARP_MUTE, f"{number} {'x' * 9999}", "y" * 9999) for number in range(100)]

    told = checks.told(many)
    assert len(told) < MOST * 1200
    assert len(read_findings(told, "")) == MOST
