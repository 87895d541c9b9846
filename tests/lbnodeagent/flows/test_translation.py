"""Who translates Services' addresses, by what a node shows."""

from __future__ import annotations

import pytest

from lbnodeagent.flows.translation import who

NICS = frozenset({"lo", "eth0", "kube-lb0"})


@pytest.mark.parametrize("by_conntrack", [True, False])
def test_of_a_node_that_shows_nobody_else_nothing_is_said(by_conntrack: bool) -> None:
    assert who(NICS, by_conntrack=by_conntrack) == ""


@pytest.mark.parametrize(("interface", "whose"), [("cilium_host", "Cilium"), ("kube-ipvs0", "kube-proxy in mode ipvs")])
def test_others_are_named_where_kube_proxy_has_no_chains(interface: str, whose: str) -> None:
    assert who(NICS | {interface}, by_conntrack=False).replace(" is in", " in").startswith(whose)


@pytest.mark.parametrize("interface", ["cilium_host", "kube-ipvs0"])
def test_where_kube_proxy_has_chains_conntrack_has_the_connections(interface: str) -> None:
    assert who(NICS | {interface}, by_conntrack=True) == ""


def test_calicos_ebpf_is_before_kube_proxys_chains() -> None:
    assert who(NICS | {"bpfin.cali"}, by_conntrack=True).startswith("Calico")
