"""What a partition, a dead port and a closed gossip port drop."""

from __future__ import annotations

from pathlib import Path

from lab.wire.partitions import Blocks, Closure, ruleset
from lab.wire.topology import topology
from lab.wire.topologyfile import load

SAMPLES = Path(__file__).parents[2] / "topologies"


def test_on_one_subnet_ports_say_who_is_kept_apart() -> None:
    lab = topology(3)

    rules = ruleset(lab, Blocks(partitioned=frozenset((lab.nodes[1].name,))))

    assert 'iifname { "port-188-11" } oifname { "port-188-1", "port-188-12" } drop' in rules
    assert 'iifname { "port-188-1", "port-188-12" } oifname { "port-188-11" } drop' in rules
    assert "saddr" not in rules
    assert " drop" not in ruleset(lab, Blocks())
    assert " drop" not in ruleset(topology(1), Blocks(partitioned=frozenset((topology(1).nodes[0].name,))))


def test_across_a_router_addresses_say_it() -> None:
    lab = load(SAMPLES / "two-subnets.yaml")

    rules = ruleset(lab, Blocks(partitioned=frozenset(("right-1",))))

    assert "ip saddr { 10.0.0.0/24, 10.0.1.0/24, 10.0.3.0/24, 192.0.2.11, 192.0.2.12, 198.51.100.12 } drop" in rules
    assert "ip6 daddr { fd00:10::/64" in rules


def test_a_dead_port_passes_nothing_either_way() -> None:
    rules = ruleset(topology(2), Blocks(dead=frozenset((topology(2).nodes[1].name,))))

    assert 'iifname { "port-188-11" } drop\noifname { "port-188-11" } drop' in rules


def test_the_gossips_port_is_closed_one_way_to_all_or_to_one() -> None:
    lab = topology(3)
    first, second = lab.nodes[1].name, lab.nodes[2].name

    to_all = ruleset(lab, Blocks(closed=frozenset((Closure(first, is_inward=True),))))
    to_one = ruleset(lab, Blocks(closed=frozenset((Closure(first, is_inward=False, peer=second),))))

    tail = "meta l4proto { tcp, udp } th dport 7934 drop"
    assert f'oifname {{ "port-188-11" }} ether type {{ ip, ip6 }} {tail}' in to_all
    assert "iifname" not in to_all
    assert f'iifname {{ "port-188-11" }} ip daddr {{ 10.31.188.12 }} {tail}' in to_one
    assert f'iifname {{ "port-188-11" }} ip6 daddr {{ fd00:10:31::188:12 }} {tail}' in to_one
    assert "oifname" not in to_one


def test_of_a_family_that_nobody_has_nothing_is_said() -> None:
    lab = load(SAMPLES / "ipv6-only.yaml")

    rules = ruleset(lab, Blocks(partitioned=frozenset(("two",))))

    assert "ip6 saddr" in rules
    assert "ip saddr" not in rules
