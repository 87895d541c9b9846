"""What hosts' kernels are told."""

from __future__ import annotations

from dataclasses import replace

from lab.wire.sysctls import of_host, without_strict_arp
from lab.wire.topology import topology

IGNORE, ANNOUNCE = "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce"


def test_nodes_have_what_strict_arp_sets_and_other_hosts_the_kernels_own() -> None:
    lab = topology(2)

    assert [of_host(node)[IGNORE] + of_host(node)[ANNOUNCE] for node in lab.nodes] == ["12", "12"]
    assert IGNORE not in of_host(lab.client)


def test_without_strict_arp_nodes_have_the_kernels_own_unless_they_say_otherwise() -> None:
    lab = topology(2)
    own = replace(lab.nodes[1], sysctls=(("arp_ignore", 2),))

    nodes = without_strict_arp(replace(lab, nodes=(lab.nodes[0], own))).nodes

    assert [of_host(node)[IGNORE] + of_host(node)[ANNOUNCE] for node in nodes] == ["00", "20"]
