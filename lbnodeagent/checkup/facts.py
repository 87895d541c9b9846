"""What one look at the node shows: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbnodeagent.checkup.answers import Doubt
from lbnodeagent.checkup.clients import Detour
from lbnodeagent.tables import Mac
from purelb.addresses import AddressRange, IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class Nic:
    """An interface on which this node announces VIPs, by the kernel's settings that count for it (ip-sysctl)."""

    name: str
    subnets: tuple[IPNetwork, ...]
    """The IPv4 ones on which it is, by the main table's routes."""
    subnets6: tuple[IPNetwork, ...] = ()
    """Likewise of IPv6."""
    mtu: int | None = None
    mac: Mac | None = None
    arp_ignore: int = 0
    arp_announce: int = 0
    proxies_arp: bool = False
    forwards: bool = True
    has_ipv6: bool = True
    drops_far: bool = False
    """The kernel would drop what comes in here from another subnet (rp_filter, RFC 3704): asked of it, not guessed."""
    harmful_file: str = ""
    """The file by which systemd-networkd configures it, if by that it takes away what it didn't add."""
    has_default: bool = True
    """The IPv4 default route leads by this NIC, or there is none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the node."""

    nics: tuple[Nic, ...] = ()
    gateways: frozenset[IPAddress] = frozenset()
    """Of the IPv4 default routes."""
    tracked: int = 0
    """Connections that the kernel remembers."""
    most_tracked: int = 0
    """As many as it can; 0: it counts none."""
    neighbours: Mapping[IPAddress, str] = field(default_factory=dict)
    """MACs of hosts that have answered lately."""
    kernel: str = ""
    """Its release."""
    is_ledger_lost: bool = False
    """The folder of the ledger goes with the agent's container."""
    interfaces: frozenset[str] = frozenset()
    """All of them; none: that isn't known."""
    taken: tuple[str, ...] = ()
    """Our ports at which another program listens: ``TCP 7472``."""
    doubts: tuple[Doubt, ...] = ()
    """VIPs of other nodes for which nobody answers on the wire, or more than one host does."""
    detours: tuple[Detour, ...] = ()
    """Clients of other subnets that come in by one NIC and are answered by another."""
    by_detour: tuple[str, ...] = ()
    """Nodes that answer the gossip through others or by TCP alone."""
    closed: tuple[str, ...] = ()
    """Agents' nodes, of those tried, to whose gossip port no TCP connection came about."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is meant to be, by the configuration and by the cluster's objects."""

    subnets: frozenset[IPNetwork] = frozenset()
    """Where this node announces on a NIC."""
    pools: tuple[tuple[str, AddressRange], ...] = ()
    """The ServiceGroups' ranges, each with its group's name."""
    vips: frozenset[IPAddress] = frozenset()
    """Addresses that Services have: whoever answers for one is the data plane's to judge."""
    must_mark: bool = False
    """Whether the agent was told to know its addresses by a mark that only later kernels keep."""
    ledger: Path | None = None
    """Where the agent notes its addresses; None: where the kernel keeps marks, it doesn't."""
    gossip_port: int = 0
    metrics_port: int = 0
    dummy: str = ""
    """The interface that routed addresses are on; empty where none is to be there."""
    marks: tuple[int, ...] = ()
    """By which answers may be led to the NIC of their VIP (returnPath)."""
