"""Which of the node's interfaces take VIPs, and on which subnets: the rule of ``localInterface``. Pure.

``default``: the interfaces of the preferred default route of each family (several when it is multipath); where a family
has none in the main table (it may be in another one, or be two halves), every NIC that is on a subnet of it. Anything
else is a regular expression over interface names, unanchored as in PureLB. ``interfaces`` are exact names tried after
that.
The node's own addresses there say which subnets it is on; ours never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Final

from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import IfIndex, Link, Mac, Surroundings
from purelb.addresses import Family, IPAddress, IPNetwork, family_of
from purelb.names import DEFAULT_INTERFACE
from purelb.nodeagents import NodeAgentConfig, interface_pattern

IPVS_INTERFACE: Final = "kube-ipvs0"
"""kube-proxy in IPVS mode keeps every VIP there; it's never ours to touch."""
POD_INTERFACES: Final = ("veth", "cali", "lxc", "cilium_", "cni", "flannel", "docker")
"""Name prefixes of interfaces that lead to pods: a regular expression as short as ``e`` must not choose them."""

MOST_MACS: Final = 7
"""Of a node that its peers are told: for so many their meta has room, whatever else it says (gossip/meta.py)."""


@dataclass(frozen=True, slots=True)
class NicSubnet:
    """A subnet that this node is on."""

    network: IPNetwork
    index: IfIndex
    interface: str
    prefix_length: int
    has_carrier: bool
    """Whether the NIC is up and has a cable; without one the node is on the subnet, but no use there."""


def is_excluded(link: Link, config: NodeAgentConfig) -> bool:
    """Whether a regular expression may not choose this interface, whatever it says."""
    return (
        link.is_loopback
        or link.name in (config.dummy_interface, IPVS_INTERFACE)
        or link.name.startswith(POD_INTERFACES)
    )


def chosen_links(config: NodeAgentConfig, present: Present, family: Family) -> list[Link]:
    """The interfaces that take VIPs of a family, in the order in which they are tried."""
    if config.local_interface == DEFAULT_INTERFACE:
        chosen = _default_links(config, present, family)
    else:
        pattern = interface_pattern(config.local_interface)
        matching = (link for link in present.links.values() if pattern.search(link.name))
        chosen = sorted((link for link in matching if not is_excluded(link, config)), key=lambda link: link.name)
    for name in config.interfaces:
        link = present.link_named(name)
        if link is not None and link not in chosen and link.name != config.dummy_interface:
            chosen.append(link)
    return chosen


def _default_links(config: NodeAgentConfig, present: Present, family: Family) -> list[Link]:
    routes = present.default_routes(family)
    best = [route for route in routes if route.metric == routes[0].metric]
    indexes = dict.fromkeys(index for route in best for index in route.interfaces)
    links = (present.links.get(index) for index in indexes)
    chosen = [link for link in links if link is not None and link.name not in (config.dummy_interface, IPVS_INTERFACE)]
    return chosen or sorted(
        (
            link
            for link in present.links.values()
            if link.has_neighbours and not is_excluded(link, config) and any(_networks(link, present, family))
        ),
        key=lambda link: link.index,
    )


def surroundings(config: NodeAgentConfig, present: Present) -> Surroundings:
    """Which interfaces the configuration chooses here, and what it names in vain."""
    if not config.announces:
        return Surroundings((), ())
    found = dict.fromkeys(link.name for family in Family for link in chosen_links(config, present, family))
    missing = [name for name in config.interfaces if name not in found]
    main_choice = replace(config, interfaces=())
    families = Family if config.local_interface == DEFAULT_INTERFACE else (Family.IPV4,)
    if not any(chosen_links(main_choice, present, family) for family in families):
        missing.insert(0, config.local_interface)
    return Surroundings(tuple(found), tuple(missing), _beside_ipvs(config, present), _subnetless(config, present))


def _beside_ipvs(config: NodeAgentConfig, present: Present) -> tuple[str, ...]:
    ipvs = present.link_named(IPVS_INTERFACE)
    if ipvs is None or not any(there.address.version == 4 for there in present.foreign(ipvs.index)):
        return ()
    return tuple(link.name for link in chosen_links(config, present, Family.IPV4))


def _subnetless(config: NodeAgentConfig, present: Present) -> tuple[str, ...]:
    found = []
    for family in Family:
        links = chosen_links(config, present, family)
        if any(True for _ in _subnets(links, present, family)):
            continue
        for link in links:
            its = (there for there in present.foreign(link.index) if family_of(there.address) is family)
            alone = (there for there in its if there.is_usable and there.prefix_length == family.bits)
            found += [f"{link.name} {there.address}/{there.prefix_length}" for there in alone]
    return tuple(found)


def nic_subnets(config: NodeAgentConfig, present: Present) -> list[NicSubnet]:
    """All subnets of the chosen interfaces, in the order in which they are tried."""
    if not config.announces:
        return []
    return [subnet for family in Family for subnet in _subnets(chosen_links(config, present, family), present, family)]


def _subnets(links: Iterable[Link], present: Present, family: Family) -> Iterable[NicSubnet]:
    for link in links:
        for network in dict.fromkeys(_networks(link, present, family)):
            yield NicSubnet(network, link.index, link.name, network.prefixlen, link.is_up and link.has_carrier)


def _networks(link: Link, present: Present, family: Family) -> Iterable[IPNetwork]:
    for address in present.foreign(link.index):
        network = address.network
        if (
            family_of(network) is family
            and address.is_usable
            and network.prefixlen < network.max_prefixlen
            and not (isinstance(address.address, IPv6Address) and address.address.is_link_local)
        ):
            yield network


def macs(config: NodeAgentConfig, present: Present) -> frozenset[Mac]:
    """Of all NICs that are on a subnet, chosen or not: a host asked on one may answer from another (arp_ignore), and
    another choice is at work here before the peers hear of it. The chosen ones first, MOST_MACS at most.
    """
    chosen = {subnet.index for subnet in nic_subnets(config, present)}
    its = (
        link for link in present.links.values() if link.index in chosen or _is_nic_on_a_subnet(link, config, present)
    )
    ordered = sorted(its, key=lambda link: (link.index not in chosen, link.index))
    return frozenset(list(dict.fromkeys(link.mac for link in ordered if link.mac is not None))[:MOST_MACS])


def _is_nic_on_a_subnet(link: Link, config: NodeAgentConfig, present: Present) -> bool:
    if not link.has_neighbours or is_excluded(link, config):
        return False
    return any(True for family in Family for _ in _networks(link, present, family))


def subnet_for(vip: IPAddress, subnets: Iterable[NicSubnet]) -> NicSubnet | None:
    """The subnet on which ``vip`` belongs: the first interface that has one, its most specific; a live one first."""
    holding = [subnet for subnet in subnets if vip in subnet.network]
    if not holding:
        return None
    live = [subnet for subnet in holding if subnet.has_carrier] or holding
    return max((subnet for subnet in live if subnet.index == live[0].index), key=lambda subnet: subnet.prefix_length)


def reach(subnets: Iterable[NicSubnet]) -> frozenset[IPNetwork]:
    """The subnets on which this node can announce now: what it tells its peers."""
    return frozenset(subnet.network for subnet in subnets if subnet.has_carrier)
