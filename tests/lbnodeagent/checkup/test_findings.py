"""Each fault of a node is found, and nothing else; on a healthy node nothing."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from lbnodeagent.checkup.answers import Doubt
from lbnodeagent.checkup.clients import Client, Detour
from lbnodeagent.checkup.facts import Expected, Facts, Nic
from lbnodeagent.checkup.findings import CHECKS, findings
from lbnodeagent.tables import Mac
from purelb.addresses import parse_range
from purelb.checks import REASONS, Check

VIP = IPv4Address("10.31.188.64")
LAN = ip_network("10.31.0.0/16")
POOL = ("wire", parse_range("10.31.188.64-10.31.188.126"))
V6 = ("six", parse_range("fd00::10-fd00::20"))
ETH0 = Nic("eth0", (LAN,), mtu=1500, arp_ignore=1, arp_announce=2)
HEALTHY = Facts(
    nics=(ETH0,),
    gateways=frozenset({ip_address("10.31.254.251")}),
    tracked=10,
    most_tracked=1000,
    neighbours={},
    kernel="6.1.0-13-amd64",
    interfaces=frozenset({"lo", "eth0", "kube-lb0"}),
)
EXPECTED = Expected(
    subnets=frozenset({LAN}),
    pools=(POOL,),
    vips=frozenset({ip_address("10.31.188.64")}),
    gossip_port=7934,
    metrics_port=7472,
    dummy="kube-lb0",
)


def nic(**changes: Any) -> Facts:
    return replace(HEALTHY, nics=(replace(ETH0, **changes),))


FAULTS = [
    (Check.ARP_MUTE, nic(arp_ignore=8), EXPECTED, "eth0"),
    (Check.PROXY_ARP, nic(proxies_arp=True), EXPECTED, "eth0"),
    (
        Check.ARP_ANNOUNCE,
        replace(nic(arp_announce=0), interfaces=HEALTHY.interfaces | {"kube-ipvs0"}),
        EXPECTED,
        "eth0",
    ),
    (
        Check.ARP_FLUX,
        replace(HEALTHY, nics=(replace(ETH0, arp_ignore=0), replace(ETH0, name="eth1", arp_ignore=0))),
        EXPECTED,
        "eth0, eth1",
    ),
    (Check.RP_FILTER, nic(drops_far=True), EXPECTED, "eth0"),
    (
        Check.WAY_BACK,
        replace(HEALTHY, detours=(Detour(Client(IPv4Address("192.168.9.9"), VIP), "eth1", "eth0"),)),
        EXPECTED,
        "come in by eth1 (192.168.9.9 for 10.31.188.64), and what answers them leaves by eth0",
    ),
    (Check.FORWARDING, nic(forwards=False), EXPECTED, "eth0"),
    (
        Check.ADDRESS_MANAGER,
        nic(harmful_file="/run/systemd/network/10-netplan-eth0.network"),
        EXPECTED,
        "/run/systemd/network/10-netplan-eth0.network has no KeepConfiguration=yes",
    ),
    (Check.IPV6_OFF, nic(has_ipv6=False), replace(EXPECTED, pools=(POOL, V6)), "eth0"),
    (Check.CONNTRACK_FULL, replace(HEALTHY, tracked=950), EXPECTED, "1000"),
    (
        Check.KERNEL_MARKS,
        replace(HEALTHY, kernel="5.10.0-28-amd64"),
        replace(EXPECTED, must_mark=True),
        "5.10.0-28-amd64",
    ),
    (
        Check.LEDGER_LOST,
        replace(HEALTHY, kernel="5.10.0", is_ledger_lost=True),
        replace(EXPECTED, ledger=Path("/run/purelb")),
        "/run/purelb",
    ),
    (Check.DUMMY_DRIVER, replace(HEALTHY, interfaces=frozenset({"lo", "eth0"})), EXPECTED, "kube-lb0"),
    (Check.PORT_TAKEN, replace(HEALTHY, taken=("TCP 7472",)), EXPECTED, "TCP 7472"),
    (
        Check.TWO_ANSWERS,
        replace(HEALTHY, doubts=(Doubt(VIP, "w12", frozenset({Mac(b"RT\0\0\0\1"), Mac(b"RT\0\0\0\2")})),)),
        EXPECTED,
        "10.31.188.64 (52:54:00:00:00:01, 52:54:00:00:00:02; node w12 has it)",
    ),
    (
        Check.NO_ANSWER,
        replace(HEALTHY, doubts=(Doubt(VIP, "w12", frozenset()),)),
        EXPECTED,
        "10.31.188.64 (on node w12)",
    ),
    (Check.GOSSIP_UDP, replace(HEALTHY, by_detour=("w12",)), EXPECTED, "w12"),
    (Check.GOSSIP_TCP, replace(HEALTHY, closed=("w12",)), EXPECTED, "w12"),
    (
        Check.POOL_NEIGHBOUR,
        replace(HEALTHY, neighbours={ip_address("10.31.188.70"): "52:54:00:12:34:56"}),
        EXPECTED,
        "10.31.188.70 (52:54:00:12:34:56)",
    ),
]


@pytest.mark.parametrize(("check", "facts", "expected", "named"), FAULTS, ids=[one[0].value for one in FAULTS])
def test_a_fault_is_found_and_nothing_else(check: Check, facts: Facts, expected: Expected, named: str) -> None:
    (found,) = findings(facts, expected)

    assert found.check is check
    assert named in found.what
    assert found.remedy


def test_every_check_has_its_fault_here_and_a_reason_for_its_events() -> None:
    assert {check for check, *_ in FAULTS} == CHECKS
    assert set(REASONS) > CHECKS


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (HEALTHY, EXPECTED),
        (Facts(), Expected()),
        (nic(arp_ignore=0, arp_announce=0), EXPECTED),
        (replace(HEALTHY, kernel="5.10.0"), EXPECTED),
        (replace(HEALTHY, kernel="unheard-of"), EXPECTED),
        (replace(HEALTHY, neighbours={ip_address("10.31.188.64"): "52:54:00:00:00:01"}), EXPECTED),
        (replace(HEALTHY, neighbours={ip_address("10.31.7.7"): "52:54:00:00:00:01"}), EXPECTED),
        (nic(has_ipv6=False), EXPECTED),
        (replace(HEALTHY, interfaces=frozenset({"lo", "eth0"})), replace(EXPECTED, dummy="")),
        (
            replace(
                HEALTHY,
                nics=(
                    replace(ETH0, arp_ignore=0),
                    Nic("eth1", (ip_network("192.168.5.0/24"),), arp_ignore=0),
                ),
            ),
            EXPECTED,
        ),
    ],
    ids=[
        "all is well",
        "nothing is known",
        "the kernel's own ARP settings without ipvs",
        "an old kernel, and the ledger",
        "a kernel whose version can't be read",
        "a VIP on another node",
        "a host outside of the pools",
        "IPv6 is off where nobody needs it",
        "no dummy interface where none is needed",
        "two NICs on two subnets",
    ],
)
def test_what_is_no_fault_is_not_found(facts: Facts, expected: Expected) -> None:
    assert findings(facts, expected) == ()
