"""Nodes as the article has them, built in one line: values for the agent's pure parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_interface

from lbnodeagent.dataplane.invariants import Facts
from lbnodeagent.dataplane.situation import LinkSituation, Situation, VipSituation
from lbnodeagent.kernel.connected import connected_subnets
from lbnodeagent.kernel.interfaces import nic_subnets
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import FOREVER, DefaultRoute, IfIndex, Link, Mac, PresentAddress, WantedVip
from purelb.addresses import Family, IPAddress, IPNetwork
from purelb.nodeagents import NodeAgentConfig
from purelb.services import ServiceKey

LO, ETH0, ETH1, DUMMY, IPVS = (IfIndex(number) for number in (1, 2, 3, 4, 5))
NOW = 1000.0
VIP = ip_address("10.31.188.64")
VIP6 = ip_address("fd00:10:31::188:64")
ROUTED = ip_address("10.189.0.0")
HOST = ip_address("10.31.188.12")
"""An address of another node's own."""


def link(index: IfIndex, name: str, *, alias: str = "", is_up: bool = True, has_carrier: bool = True) -> Link:
    """An interface; its MAC ends with its index."""
    return Link(
        index,
        name,
        mac=Mac(bytes([0x52, 0x54, 0, 0, 0, index])),
        alias=alias,
        is_up=is_up,
        has_carrier=has_carrier,
        is_loopback=name == "lo",
    )


def own(index: IfIndex, text: str, *, is_usable: bool = True, is_secondary: bool = False) -> PresentAddress:
    """An address that the operator gave the node."""
    there = ip_interface(text)
    return PresentAddress(index, there.ip, there.network.prefixlen, is_usable=is_usable, is_secondary=is_secondary)


def placed(
    index: IfIndex, text: str, *, expires: float = NOW + 10, no_prefix_route: bool = True, is_secondary: bool = True
) -> PresentAddress:
    """An address that the agent put there."""
    there = ip_interface(text)
    return PresentAddress(
        index,
        there.ip,
        there.network.prefixlen,
        is_ours=True,
        is_secondary=is_secondary and there.version == 4,
        no_prefix_route=no_prefix_route,
        expires=expires,
    )


def on_dummy(text: str) -> PresentAddress:
    """An address that the agent put on the dummy interface."""
    return placed(DUMMY, text, expires=FOREVER, no_prefix_route=False)


def node(*more: PresentAddress, links: Iterable[Link] = (), without: Iterable[IfIndex] = ()) -> Present:
    """10.31.188.11/16 and fd00:10:31::188:11/64 on eth0, which has both default routes; an empty kube-lb0."""
    all_links = {one.index: one for one in (link(LO, "lo"), link(ETH0, "eth0"), link(DUMMY, "kube-lb0"), *links)}
    return Present(
        [one for one in all_links.values() if one.index not in without],
        [own(LO, "127.0.0.1/8"), own(ETH0, "10.31.188.11/16"), own(ETH0, "fd00:10:31::188:11/64"), *more],
        [DefaultRoute(Family.IPV4, 0, (ETH0,)), DefaultRoute(Family.IPV6, 1024, (ETH0,))],
    )


def wanted(vip: IPAddress, *, aggregation: int | None = None, endpoints: frozenset[str] | None = None) -> WantedVip:
    """What one Service wants."""
    return WantedVip(vip, (ServiceKey("test", f"service-{vip}"),), aggregation, endpoints)


def situation(
    present: Present,
    *vips: WantedVip,
    owners: Mapping[IPAddress, str] | None = None,
    config: NodeAgentConfig | None = None,
    onlink: Iterable[IPNetwork] = (),
    held: Iterable[IPAddress] = (),
    now: float = NOW,
    leaving: bool = False,
    spared: Iterable[IPAddress] = (),
    lingering: Iterable[IPAddress] = (),
    router_trouble: str | None = None,
    forbidden: Mapping[IPAddress, str] | None = None,
) -> Situation:
    """What the node ``w11`` sees: of the VIPs that are wanted, of all addresses that are there, and of VIP."""
    config = config or NodeAgentConfig()
    by_address = {one.address: one for one in vips}
    addresses = dict.fromkeys([*by_address, *(there.address for there in present.all()), VIP, VIP6, ROUTED])
    held, lingering, spared = frozenset(held), frozenset(lingering), frozenset(spared)
    return Situation(
        node="w11",
        config=config,
        now=now,
        vips={
            vip: VipSituation(
                wanted=by_address.get(vip),
                there=tuple(present.at(vip)),
                owner=(owners or {}).get(vip),
                is_held=vip in held,
                is_spared=vip in spared,
                lingers=vip in lingering,
            )
            for vip in addresses
        },
        links=dict(present.links),
        subnets=tuple(nic_subnets(config, present)),
        foreign={index: tuple(present.foreign(index)) for index in present.links},
        onlink=frozenset(onlink),
        leaving=leaving,
        router_trouble=router_trouble,
        facts=Facts(
            forbidden or {},
            frozenset(by_address),
            connected_subnets(present, config.dummy_interface),
            frozenset(there.key for there in present.all_ours()),
        ),
    )


def of(scene: Situation, *vips: IPAddress) -> Situation:
    """The same, of these VIPs only."""
    return replace(scene, vips={vip: scene.vips.get(vip, VipSituation()) for vip in vips})


def but(
    scene: Situation, vip: IPAddress, *, is_new: bool = False, is_duplicate: bool = False, is_claimed: bool = False
) -> Situation:
    """The same, but for what is known of one VIP."""
    its = replace(scene.vips[vip], is_new=is_new, is_duplicate=is_duplicate, is_claimed=is_claimed)
    return replace(scene, vips={**scene.vips, vip: its})


def links_of(present: Present, *, config: NodeAgentConfig | None = None, leaving: bool = False) -> LinkSituation:
    """What the dummy interface is looked after by."""
    foreign = {
        link.index
        for link in present.links.values()
        if any(not there.address.is_link_local for there in present.foreign(link.index))
    }
    return LinkSituation(
        config or NodeAgentConfig(),
        tuple(present.links.values()),
        frozenset(there.index for there in present.all_ours()),
        frozenset(foreign),
        leaving,
    )
