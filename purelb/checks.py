"""What can be wrong around PureLB in a cluster or on a node: each check by its name, and what one has found. Pure.

The agents find what only a node shows and say it in an annotation of its Lease; the plugin finds the rest. Why a check
matters is told by docs/doctor.md, at the anchor that has its name.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from purelb import names
from purelb.addresses import excerpt

MOST: Final = 16
"""Findings of one node that are told."""
LONGEST: Final = 500
"""Characters of each of their texts."""
LONGEST_TOLD: Final = 64 * 1024
"""Characters of an annotation that are read: whoever may write a Lease may write what he likes."""


class Check(enum.Enum):
    """The value is its name in the metric's label, in documents and as an anchor of docs/doctor.md."""

    # What an agent sees.
    STRICT_ARP = "strict-arp"
    ARP_ANNOUNCE = "arp-announce"
    ARP_FLUX = "arp-flux"
    ARP_MUTE = "arp-mute"
    PROXY_ARP = "proxy-arp"
    RP_FILTER = "rp-filter"
    WAY_BACK = "way-back"
    FORWARDING = "forwarding"
    ADDRESS_MANAGER = "address-manager"
    IPV6_OFF = "ipv6-off"
    CONNTRACK_FULL = "conntrack-full"
    KERNEL_MARKS = "kernel-marks"
    LEDGER_LOST = "ledger-lost"
    DUMMY_DRIVER = "dummy-driver"
    AGENTS_UNHEARD = "agents-unheard"
    GOSSIP_UDP = "gossip-udp"
    GOSSIP_TCP = "gossip-tcp"
    GOSSIP_KEY_INVALID = "gossip-key-invalid"
    PORT_TAKEN = "port-taken"
    NOT_SERVING = "not-serving"
    NO_SUBNET = "no-subnet"
    ADDRESS_REMOVED = "address-removed"
    STRANGER_ANSWERS = "stranger-answers"
    TWO_ANSWERS = "two-answers"
    NO_ANSWER = "no-answer"
    POOL_NEIGHBOUR = "pool-neighbour"
    FLOWS_NOT_KEPT = "flows-not-kept"
    # What the cluster's objects show.
    NOT_INSTALLED = "not-installed"
    PROGRAM_NOT_READY = "program-not-ready"
    MEMBERSHIP_STALE = "membership-stale"
    AGENT_SILENT = "agent-silent"
    OLD_KUBERNETES = "old-kubernetes"
    SECOND_PURELB = "second-purelb"
    OTHER_CONTROLLER = "other-controller"
    VIP_IS_NODE_ADDRESS = "vip-is-node-address"
    POOL_NODE_ADDRESS = "pool-node-address"
    POOL_GATEWAY = "pool-gateway"
    POOL_PODS = "pool-pods"
    POOL_CLUSTER_IPS = "pool-cluster-ips"
    POOL_REFUSED = "pool-refused"
    POOL_UNREACHABLE = "pool-unreachable"
    AGENT_CONFIG = "agent-config"
    NOBODY_SERVES = "nobody-serves"
    GOSSIP_KEY_DIFFERS = "gossip-key-differs"
    MTU_DIFFERS = "mtu-differs"
    CLOCK_SKEW = "clock-skew"


REASONS: Final[Mapping[Check, str]] = {
    Check.STRICT_ARP: names.REASON_STRICT_ARP_OFF,
    Check.ARP_ANNOUNCE: "ARPAnnounce",
    Check.ARP_FLUX: "ARPFlux",
    Check.ARP_MUTE: "ARPMute",
    Check.PROXY_ARP: "ProxyARP",
    Check.RP_FILTER: "ReversePathFilter",
    Check.WAY_BACK: "WayBack",
    Check.FORWARDING: "ForwardingOff",
    Check.ADDRESS_MANAGER: "AddressManager",
    Check.IPV6_OFF: "IPv6Off",
    Check.CONNTRACK_FULL: "ConntrackFull",
    Check.KERNEL_MARKS: "KernelMarks",
    Check.LEDGER_LOST: "LedgerLost",
    Check.DUMMY_DRIVER: "DummyDriver",
    Check.AGENTS_UNHEARD: names.REASON_AGENTS_UNHEARD,
    Check.GOSSIP_UDP: "GossipUDPClosed",
    Check.GOSSIP_TCP: "GossipTCPClosed",
    Check.GOSSIP_KEY_INVALID: names.REASON_GOSSIP_KEY_INVALID,
    Check.PORT_TAKEN: "PortTaken",
    Check.NOT_SERVING: names.REASON_NOT_SERVING,
    Check.NO_SUBNET: names.REASON_NO_SUBNET,
    Check.ADDRESS_REMOVED: names.REASON_ADDRESS_REMOVED,
    Check.STRANGER_ANSWERS: names.REASON_ADDRESS_CONFLICT,
    Check.TWO_ANSWERS: "TwoAnswers",
    Check.NO_ANSWER: "NoAnswer",
    Check.POOL_NEIGHBOUR: "PoolAddressTaken",
    Check.FLOWS_NOT_KEPT: "ConnectionsNotKept",
}
"""The checks of the agents, each with the reason of its events."""
NUMBERS: Final[Mapping[Check, int]] = {
    Check.STRICT_ARP: 0,
    Check.ARP_ANNOUNCE: 1,
    Check.ARP_FLUX: 2,
    Check.ARP_MUTE: 3,
    Check.PROXY_ARP: 4,
    Check.RP_FILTER: 5,
    Check.FORWARDING: 6,
    Check.IPV6_OFF: 7,
    Check.CONNTRACK_FULL: 8,
    Check.KERNEL_MARKS: 9,
    Check.DUMMY_DRIVER: 10,
    Check.AGENTS_UNHEARD: 11,
    Check.GOSSIP_TCP: 12,
    Check.GOSSIP_KEY_INVALID: 13,
    Check.PORT_TAKEN: 14,
    Check.NOT_SERVING: 15,
    Check.NO_SUBNET: 16,
    Check.ADDRESS_REMOVED: 17,
    Check.STRANGER_ANSWERS: 18,
    Check.POOL_NEIGHBOUR: 19,
    Check.GOSSIP_UDP: 20,
    Check.TWO_ANSWERS: 21,
    Check.NO_ANSWER: 22,
    Check.LEDGER_LOST: 23,
    Check.WAY_BACK: 25,
    Check.ADDRESS_MANAGER: 26,
    Check.FLOWS_NOT_KEPT: 30,
}
"""What agents tell each other of these, from 0 to 31: a number is given once only."""
_BY_NAME: Final = {check.value: check for check in Check}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check has found."""

    check: Check
    what: str
    """A sentence without its stop."""
    remedy: str
    """What to do, a command where there is one."""
    about: str = ""
    """Whom it concerns, such as ``node w11``; an agent speaks of its own node and leaves it out."""


def told(findings: Iterable[Finding]) -> str:
    """Findings of one node as the annotation has them."""
    entries = [
        {"check": one.check.value, "what": excerpt(one.what, LONGEST), "remedy": excerpt(one.remedy, LONGEST)}
        for one in sorted(findings, key=lambda one: (one.check.value, one.what))[:MOST]
    ]
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False)


def read_findings(text: str, about: str) -> tuple[Finding, ...]:
    """Those of a node. Lenient: what can't be read is left out, also checks of later versions."""
    found = []
    for entry in _entries(text):
        match entry:
            case {"check": str(name), "what": str(what), **more} if name in _BY_NAME:
                remedy = more.get("remedy")
                doing = excerpt(remedy, LONGEST) if isinstance(remedy, str) else ""
                found.append(Finding(_BY_NAME[name], excerpt(what, LONGEST), doing, about))
            case _:
                continue
    return tuple(found)


def bits_of(found: Iterable[Check]) -> int:
    """Which of the agents' checks have found something, a bit for each."""
    bits = 0
    for check in found:
        if check in NUMBERS:
            bits |= 1 << NUMBERS[check]
    return bits


def checks_of(bits: int) -> frozenset[Check]:
    """Likewise; those of later versions are left out."""
    return frozenset(check for check, number in NUMBERS.items() if bits >> number & 1)


def _entries(text: str) -> list[Any]:
    try:
        found = json.loads(text) if len(text) <= LONGEST_TOLD else []
    except (ValueError, RecursionError):
        return []
    return found[:MOST] if isinstance(found, list) else []
