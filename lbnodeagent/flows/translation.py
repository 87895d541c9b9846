"""Who translates Services' addresses on this node, if not by the kernel's conntrack: then there is nothing to keep.

Owns reading that: the names of interfaces and of netfilter's tables. Only what is sure is said.
"""

from __future__ import annotations

import socket
from collections.abc import Set
from pathlib import Path
from typing import Final

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.expressions import text
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.nfnetlink import Message

_CALICO, _CILIUM, _IPVS = "bpfin.cali", "cilium_host", "kube-ipvs0"
_GET_TABLE, _GET_CHAIN = 10 << 8 | 1, 10 << 8 | 4
_LEGACY: Final = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))
"""Tables of iptables-legacy, whose chains can't be seen without more ado."""
_KUBE_PROXY: Final = [
    Message(kind, 0, family, names)
    for family in (socket.AF_INET, socket.AF_INET6)
    for kind, names in (
        (_GET_TABLE, text(1, "kube-proxy")),
        (_GET_CHAIN, text(1, "nat") + text(3, "KUBE-SERVICES")),
    )
]
"""Its table in mode nftables, its chain in mode iptables (by nf_tables), of each family."""


def look(netfilter: Netfilter) -> str:
    """Who does it, a clause; empty: conntrack, or that isn't known. Blocking."""
    interfaces = frozenset(name for _, name in socket.if_nameindex())
    return "" if not _may_be(interfaces) else who(interfaces, by_conntrack=_is_by_conntrack(netfilter))


def who(interfaces: Set[str], *, by_conntrack: bool) -> str:
    """Likewise. ``by_conntrack``: there is what kube-proxy has in mode nftables or iptables, or may be.

    Calico's eBPF is before all of netfilter, and only that has these interfaces; Cilium may leave it to kube-proxy.
    """
    if _CALICO in interfaces:
        return "Calico translates Services' addresses by eBPF, past the kernel's conntrack"
    if by_conntrack:
        return ""
    if _CILIUM in interfaces:
        return "Cilium is in kube-proxy's place and translates Services' addresses by eBPF, past the kernel's conntrack"
    if _IPVS in interfaces:
        return "kube-proxy is in mode ipvs, whose connections the kernel's conntrack doesn't tell from others"
    return ""


def _may_be(interfaces: Set[str]) -> bool:
    return not interfaces.isdisjoint((_CALICO, _CILIUM, _IPVS))


def _is_by_conntrack(netfilter: Netfilter) -> bool:
    return any("nat" in _words(file) for file in _LEGACY) or any(_is_there(netfilter, one) for one in _KUBE_PROXY)


def _is_there(netfilter: Netfilter, question: Message) -> bool:
    try:
        netfilter.ask(question)
    except KernelError:
        return False
    return True


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
