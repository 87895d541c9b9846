"""What is wrong on a node, by what a look at it showed and by what is meant to be. Pure: facts to findings.

Where nothing is known (a file that can't be read), nothing is found. Each sentence is about "this node".
Source of the settings' meaning: Linux, Documentation/networking/ip-sysctl.rst; kube-proxy's ipvs mode for strictARP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from lbnodeagent.checkup.facts import Expected, Facts
from lbnodeagent.wire.frames import format_mac
from purelb.addresses import IPAddress, IPNetwork, listed
from purelb.checks import Check, Finding

FULL: Final = 0.9
"""Share of the connection table from which on it counts as full: new connections are dropped when it is."""
MARKS_SINCE: Final = (5, 18)
"""The kernel that keeps IFA_PROTO."""
_NEVER_ANSWERS: Final = 8
"""arp_ignore: no answer for any address."""
_BEST_SOURCE: Final = 2
"""arp_announce: ask with an address of the NIC itself."""
_NAMED: Final = 5
_IPVS: Final = "kube-ipvs0"
"""On which kube-proxy in mode ipvs keeps VIPs."""

Look: TypeAlias = Callable[[Facts, Expected], Iterable[Finding]]


def findings(facts: Facts, expected: Expected) -> tuple[Finding, ...]:
    """All of them, the causes before what follows from them."""
    return tuple(finding for look in _LOOKS for finding in look(facts, expected))


def _arp(facts: Facts, _: Expected) -> Iterable[Finding]:
    asked = [nic for nic in facts.nics if nic.subnets]
    for nic in asked:
        if nic.arp_ignore >= _NEVER_ANSWERS:
            what = f"interface {nic.name} answers no ARP request at all (arp_ignore {nic.arp_ignore})"
            yield Finding(Check.ARP_MUTE, what, _sysctl(f"net.ipv4.conf.{nic.name}.arp_ignore=1"))
        if nic.proxies_arp:
            what = f"interface {nic.name} answers ARP for other hosts' addresses (proxy_arp)"
            yield Finding(Check.PROXY_ARP, what, _sysctl(f"net.ipv4.conf.{nic.name}.proxy_arp=0"))
    if _IPVS in facts.interfaces and (loud := [nic.name for nic in asked if nic.arp_announce < _BEST_SOURCE]):
        what = (
            f"kube-proxy is in mode ipvs, and on {', '.join(loud)} this node asks by ARP with VIPs as its own address"
        )
        remedy = (
            f"set ipvs.strictARP: true in kube-proxy's configuration, or {_sysctl('net.ipv4.conf.all.arp_announce=2')}"
        )
        yield Finding(Check.ARP_ANNOUNCE, what, remedy)


def _flux(facts: Facts, _: Expected) -> Iterable[Finding]:
    on: dict[IPNetwork, list[str]] = {}
    for nic in facts.nics:
        for subnet in nic.subnets:
            if nic.arp_ignore == 0:
                on.setdefault(subnet, []).append(nic.name)
    for subnet, there in on.items():
        if len(there) > 1:
            what = f"interfaces {', '.join(there)} are all on {subnet} and each answers ARP for the others' addresses"
            yield Finding(Check.ARP_FLUX, what, _sysctl("net.ipv4.conf.all.arp_ignore=1"))


def _way(facts: Facts, _: Expected) -> Iterable[Finding]:
    for nic in facts.nics:
        if nic.drops_far:
            what = (
                f"this node drops what comes in by {nic.name} from other subnets, as it would answer by another "
                "interface (rp_filter)"
            )
            yield Finding(Check.RP_FILTER, what, _sysctl(f"net.ipv4.conf.{nic.name}.rp_filter=2"))
    for detour in facts.detours:
        client, vip = detour.client
        what = (
            f"clients of other subnets come in by {detour.nic} ({client} for {vip}), and what answers them leaves by "
            f"{detour.by}"
        )
        remedy = (
            "say returnPath: {enabled: true} in the LBNodeAgent, or on the node ip route add CLIENTS via GATEWAY dev "
            f"{detour.nic} for the networks that they are in"
        )
        yield Finding(Check.WAY_BACK, what, remedy)
    if still := [nic.name for nic in facts.nics if not nic.forwards]:
        what = f"this node doesn't forward what comes in by {', '.join(still)}, so that it reaches no pod elsewhere"
        yield Finding(Check.FORWARDING, what, _sysctl("net.ipv4.ip_forward=1"))


def _managers(facts: Facts, _: Expected) -> Iterable[Finding]:
    for nic in facts.nics:
        if nic.harmful_file:
            what = (
                f"systemd-networkd takes the addresses of {nic.name} away that it didn't add, whenever it configures "
                f"it anew: {nic.harmful_file} has no KeepConfiguration=yes"
            )
            remedy = (
                f"/etc/systemd/network/{Path(nic.harmful_file).name}.d/purelb.conf on the node, with the two lines "
                "[Network] and KeepConfiguration=yes; then networkctl reload"
            )
            yield Finding(Check.ADDRESS_MANAGER, what, remedy)


def _ipv6(facts: Facts, expected: Expected) -> Iterable[Finding]:
    if not any(pool.first.version == 6 for _, pool in expected.pools):
        return
    for nic in facts.nics:
        if not nic.has_ipv6:
            what = f"IPv6 is off on interface {nic.name}, and there is a pool of IPv6 addresses"
            yield Finding(Check.IPV6_OFF, what, _sysctl(f"net.ipv6.conf.{nic.name}.disable_ipv6=0"))


def _connections(facts: Facts, _: Expected) -> Iterable[Finding]:
    most = facts.most_tracked
    if most and facts.tracked >= FULL * most:
        what = (
            f"the kernel remembers more than {FULL:.0%} of the {most} connections that it can, and then drops new ones"
        )
        remedy = (
            f"{_sysctl(f'net.netfilter.nf_conntrack_max={2 * most}')}, and kube-proxy's conntrack.maxPerCore likewise"
        )
        yield Finding(Check.CONNTRACK_FULL, what, remedy)


def _kernel(facts: Facts, expected: Expected) -> Iterable[Finding]:
    if expected.must_mark and facts.kernel and _version(facts.kernel) < MARKS_SINCE:
        what = f"Linux {facts.kernel} keeps no mark on addresses, and the agent was told to know its own by one"
        remedy = "set PURELB_OWNERSHIP=auto on the DaemonSet: kubectl set env ds/lbnodeagent PURELB_OWNERSHIP=auto"
        yield Finding(Check.KERNEL_MARKS, what, remedy)


def _ledger(facts: Facts, expected: Expected) -> Iterable[Finding]:
    if facts.is_ledger_lost:
        what = (
            f"Linux {facts.kernel} keeps no mark on addresses, and {expected.ledger} is lost with the agent's container"
        )
        remedy = f"mount {expected.ledger} from the host, as manifests/base/lbnodeagent.yaml does (hostPath)"
        yield Finding(Check.LEDGER_LOST, what, remedy)


def _neighbours(facts: Facts, expected: Expected) -> Iterable[Finding]:
    """Hosts that have an address of a pool which no Service has: found by chance, as this node spoke with them."""
    for name, pool in expected.pools:
        there = sorted(one for one in facts.neighbours if one in pool and one not in expected.vips)
        if there:
            hosts = listed([f"{one} ({facts.neighbours[one]})" for one in there], _NAMED)
            what = f"another host has an address of pool {name}, perhaps by DHCP: {hosts}"
            yield Finding(Check.POOL_NEIGHBOUR, what, _exclude(name, there))


def _gossip(facts: Facts, expected: Expected) -> Iterable[Finding]:
    if facts.by_detour:
        where = listed(facts.by_detour, _NAMED)
        what = (
            f"no UDP packet passes between this node's port {expected.gossip_port} and that of {where}, while TCP does"
        )
        remedy = f"open UDP port {expected.gossip_port} between all nodes, in both directions"
        yield Finding(Check.GOSSIP_UDP, what, remedy)
    if facts.closed:
        where = listed(facts.closed, _NAMED)
        what = f"no TCP connection to port {expected.gossip_port} of {where} comes about, while UDP does"
        remedy = f"open TCP port {expected.gossip_port} between all nodes, in both directions"
        yield Finding(Check.GOSSIP_TCP, what, remedy)


def _answers(facts: Facts, _: Expected) -> Iterable[Finding]:
    two = sorted((one for one in facts.doubts if one.macs), key=lambda one: int(one.vip))
    if two:
        vips = [f"{one.vip} ({', '.join(sorted(map(format_mac, one.macs)))}; node {one.node} has it)" for one in two]
        what = f"asked by a neighbour, more than one host answers for {listed(vips, _NAMED)}"
        yield Finding(Check.TWO_ANSWERS, what, "find by its MAC who answers beside that node (ip neigh, the switch)")
    none = sorted((one for one in facts.doubts if not one.macs), key=lambda one: int(one.vip))
    if none:
        vips = [f"{one.vip} (on node {one.node})" for one in none]
        what = f"asked by a neighbour, nobody answers for {listed(vips, _NAMED)}"
        remedy = (
            "see that the switch or hypervisor lets that node have more than one address (port security, IP spoofing "
            "checks), and on the node: nft list ruleset, arptables -L, sysctl net.ipv4.conf.all.arp_ignore"
        )
        yield Finding(Check.NO_ANSWER, what, remedy)


def _dummy(facts: Facts, expected: Expected) -> Iterable[Finding]:
    if expected.dummy and facts.interfaces and expected.dummy not in facts.interfaces:
        what = f"interface {expected.dummy}, on which routed addresses are, is not there and can't be made"
        yield Finding(
            Check.DUMMY_DRIVER, what, "modprobe dummy on the node (and a line dummy below /etc/modules-load.d)"
        )


def _ports(facts: Facts, _: Expected) -> Iterable[Finding]:
    for port in facts.taken:
        protocol, number = port.split()
        what = f"another program listens at port {port}, which is PureLB's"
        remedy = (
            f"ss -lnp --{protocol.lower()} sport = :{number} on the node names it: stop it, or give one another port"
        )
        yield Finding(Check.PORT_TAKEN, what, remedy)


_LOOKS: Final[tuple[Look, ...]] = (
    _ports,
    _dummy,
    _arp,
    _flux,
    _way,
    _managers,
    _ipv6,
    _connections,
    _kernel,
    _ledger,
    _gossip,
    _answers,
    _neighbours,
)
CHECKS: Final = frozenset(
    {
        Check.PORT_TAKEN,
        Check.DUMMY_DRIVER,
        Check.ARP_MUTE,
        Check.PROXY_ARP,
        Check.ARP_ANNOUNCE,
        Check.ARP_FLUX,
        Check.RP_FILTER,
        Check.WAY_BACK,
        Check.FORWARDING,
        Check.ADDRESS_MANAGER,
        Check.IPV6_OFF,
        Check.CONNTRACK_FULL,
        Check.KERNEL_MARKS,
        Check.LEDGER_LOST,
        Check.GOSSIP_UDP,
        Check.GOSSIP_TCP,
        Check.TWO_ANSWERS,
        Check.NO_ANSWER,
        Check.POOL_NEIGHBOUR,
    }
)
"""What may be found."""


def _sysctl(setting: str) -> str:
    return f"sysctl -w {setting} on the node (and below /etc/sysctl.d, for its next start)"


def _exclude(name: str, there: list[IPAddress]) -> str:
    which = listed([str(one) for one in there], _NAMED)
    return (
        f"kubectl edit servicegroup {name} -n purelb: take {which} out of the pool; or out of the DHCP server's range"
    )


def _version(release: str) -> tuple[int, int]:
    major, minor = (*release.split("."), "0")[:2]
    digits = "".join(sign for sign in minor if sign.isdigit())
    return (int(major) if major.isdigit() else 0, int(digits or 0))
