"""What a partition drops."""

from __future__ import annotations

from pathlib import Path

from lab.wire.partitions import ruleset
from lab.wire.topology import topology
from lab.wire.topologyfile import load

SAMPLES = Path(__file__).parents[2] / "topologies"


def test_on_one_subnet_ports_say_who_is_kept_apart() -> None:
    lab = topology(3)

    rules = ruleset(lab, [lab.nodes[1].name])

    assert 'iifname { "port-188-11" } oifname { "port-188-1", "port-188-12" } drop' in rules
    assert 'iifname { "port-188-1", "port-188-12" } oifname { "port-188-11" } drop' in rules
    assert "saddr" not in rules
    assert " drop" not in ruleset(lab, [])
    assert " drop" not in ruleset(topology(1), [topology(1).nodes[0].name])


def test_across_a_router_addresses_say_it() -> None:
    lab = load(SAMPLES / "two-subnets.yaml")

    rules = ruleset(lab, ["right-1"])

    assert "ip saddr { 10.0.0.0/24, 10.0.1.0/24, 10.0.3.0/24, 192.0.2.11, 192.0.2.12, 198.51.100.12 } drop" in rules
    assert "ip6 daddr { fd00:10::/64" in rules


def test_of_a_family_that_nobody_has_nothing_is_said() -> None:
    lab = load(SAMPLES / "ipv6-only.yaml")

    rules = ruleset(lab, ["two"])

    assert "ip6 saddr" in rules
    assert "ip saddr" not in rules
