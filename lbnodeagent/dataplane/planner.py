"""What to do, from what is wanted, what is there and who owns what. Pure: the same input gives the same list.

Planning from the state that a plan leads to gives an empty plan. It never touches an address without our mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from lbnodeagent.kernel.interfaces import IPVS_INTERFACE, NicSubnet, nic_subnets, subnet_for
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    Action,
    CreateDummy,
    DeleteDummy,
    Link,
    Place,
    PresentAddress,
    Remove,
    SetUp,
    Spot,
    WantedVip,
)
from purelb.addresses import IPAddress
from purelb.nodeagents import AddressConfig, NodeAgentConfig

RENEW_BELOW: Final = 0.6
"""Share of its lifetime below which an address is renewed: looked at every quarter, that is every second time."""
LEFT_BEHIND: Final = 300
"""Seconds for which a routed VIP outlives its agent: an agent that is replaced takes over, and one that isn't leaves
nothing behind for ever."""
TAKEN: Final = "the address is on the interface already and was not put there by PureLB"


NO_SUBNET: Final = (
    "no node has an interface on a subnet that holds it, as an address of a local pool needs; "
    "one of a remote pool would be routed"
)
DUPLICATE: Final = "duplicate address detection found another host that has the address"


def _is_none(_: IPAddress) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Blocked:
    """A VIP that ought to be here and can't."""

    vip: IPAddress
    interface: str
    reason: str


@dataclass(frozen=True, slots=True)
class Situation:
    """One pass's view of everything."""

    node: str
    config: NodeAgentConfig
    present: Present
    wanted: Mapping[IPAddress, WantedVip]
    owner: Callable[[IPAddress], str | None]
    """Whom the election gives a VIP; None where no candidate is on its subnet."""
    is_onlink: Callable[[IPAddress], bool]
    """Whether some node, living or dead, is on the VIP's subnet: it is then no routed address."""
    is_held: Callable[[IPAddress], bool]
    """Whether a VIP that we have and don't own stays nevertheless: until its new owner has it, or while nobody claims
    it and this node may not yet."""
    now: float
    """Monotonic seconds."""
    leaving: bool = False
    """Whether this agent shuts down: nothing new is placed, only what is held stays, and routed VIPs get a lifetime."""
    is_excluded: bool = False
    """Whether load balancer traffic is to stay away from this node (cordon, label): no routed VIP then."""
    lingers: Callable[[IPAddress], bool] = _is_none
    """Whether a routed VIP stays for a moment although only other nodes have endpoints for it."""
    router_trouble: str | None = None
    """Why nothing would route a VIP that isn't here yet; "": it isn't known yet; None: something does."""
    is_spokesman: bool = True
    """Whether this node is the one that reports what concerns all alike."""
    is_claimed: Callable[[IPAddress], bool] = _is_none
    """Whether another host answered for a VIP that an earlier run left here, while peers couldn't be heard."""
    is_new: Callable[[IPAddress], bool] = _is_none
    """Whether nobody had a VIP yet, so that duplicates are to be detected before it's used."""
    is_duplicate: Callable[[IPAddress], bool] = _is_none
    """Whether that found another host which has it."""


Destination: TypeAlias = Spot | Blocked | None


def plan(vips: Iterable[IPAddress], situation: Situation) -> tuple[list[Action], list[Blocked]]:
    """The actions for ``vips``, places before removals, and the VIPs that can't be placed."""
    subnets = nic_subnets(situation.config, situation.present)
    first: list[Action] = []
    places: list[Action] = []
    removals: list[Action] = []
    blocked: list[Blocked] = []
    for vip in vips:
        destination = destination_of(vip, situation, subnets)
        if isinstance(destination, Blocked):
            blocked.append(destination)
            destination = None
        settled = False
        for there in situation.present.ours(vip):
            if destination is None or (there.index, there.prefix_length) != (
                destination.index,
                destination.prefix_length,
            ):
                removals.append(_removal(there, situation.present))
            elif _must_be_redone(there, destination, situation.present):
                first.append(_removal(there, situation.present))
                places.append(Place(vip, destination, is_renewal=True))
                settled = True
            else:
                settled = True
                if _is_due(there, destination, situation.now):
                    places.append(Place(vip, destination, is_renewal=True))
        if destination is not None and not settled:
            places.append(Place(vip, destination, detects_duplicates=destination.is_local and situation.is_new(vip)))
    return [*first, *places, *removals], blocked


def plan_adopted(vips: Iterable[IPAddress], situation: Situation) -> list[Action]:
    """The same before the configuration is known, for what an earlier run left: it stays where it is, or goes.

    It goes when a peer has it or another host answers for it. Else it's renewed as long as it's held, and expires
    otherwise.
    """
    actions: list[Action] = []
    for vip in vips:
        for there in situation.present.ours(vip):
            link = situation.present.links.get(there.index)
            if link is None or there.expires == FOREVER:
                continue
            spot = Spot(there.index, link.name, there.prefix_length, True, situation.config.local_addressing)
            if situation.is_claimed(vip):
                actions.append(_removal(there, situation.present))
            elif situation.is_held(vip):
                if _is_due(there, spot, situation.now):
                    actions.append(Place(vip, spot, is_renewal=True))
            elif situation.owner(vip) is not None:
                actions.append(_removal(there, situation.present))
    return actions


def destination_of(vip: IPAddress, situation: Situation, subnets: Iterable[NicSubnet]) -> Destination:
    """Where ``vip`` belongs on this node; None: nowhere."""
    wanted, config = situation.wanted.get(vip), situation.config
    if wanted is None or not config.announces:
        return None
    subnet = subnet_for(vip, subnets)
    if subnet is not None:
        if not subnet.has_carrier:
            return None
        if not situation.is_held(vip) and (situation.leaving or situation.owner(vip) != situation.node):
            return None
        if any(there.index == subnet.index and not there.is_ours for there in situation.present.at(vip)):
            return Blocked(vip, subnet.interface, TAKEN)
        if situation.is_duplicate(vip):
            return Blocked(vip, subnet.interface, DUPLICATE)
        return Spot(subnet.index, subnet.interface, subnet.prefix_length, True, config.local_addressing)
    if situation.is_excluded or situation.is_onlink(vip):
        return None
    if wanted.onlink_only:
        is_mine_to_tell = situation.is_spokesman and not situation.leaving
        return Blocked(vip, config.local_interface, NO_SUBNET) if is_mine_to_tell else None
    return _routed_destination(wanted, situation)


def _routed_destination(wanted: WantedVip, situation: Situation) -> Destination:
    """Likewise for a VIP that is on no node's subnet: the dummy interface."""
    vip, config = wanted.address, situation.config
    dummy = situation.present.link_named(config.dummy_interface)
    if dummy is None:
        return None  # plan_links makes it; this VIP is looked at again when it is there
    is_here = any(there.index == dummy.index for there in situation.present.ours(vip))
    if wanted.endpoints is not None and situation.node not in wanted.endpoints:
        if not (is_here and situation.lingers(vip)):
            return None
    elif not is_here and situation.leaving:
        return None
    elif not is_here and situation.router_trouble is not None:
        return Blocked(vip, dummy.name, situation.router_trouble) if situation.router_trouble else None
    if any(there.index == dummy.index and not there.is_ours for there in situation.present.at(vip)):
        return Blocked(vip, dummy.name, TAKEN)
    prefix_length = wanted.host_prefix if wanted.aggregation is None else wanted.aggregation
    addressing = _for_the_time_after(config.dummy_addressing) if situation.leaving else config.dummy_addressing
    return Spot(dummy.index, dummy.name, prefix_length, False, addressing)


def _for_the_time_after(addressing: AddressConfig) -> AddressConfig:
    """How a routed VIP sits there while no agent runs; one that has a lifetime anyway keeps it."""
    if addressing.valid_lifetime:
        return addressing
    return replace(addressing, valid_lifetime=LEFT_BEHIND, preferred_lifetime=LEFT_BEHIND)


def plan_links(situation: Situation) -> list[Action]:
    """Have the dummy interface, up; drop one of ours that has another name than the configuration's."""
    config, actions = situation.config, list[Action]()
    wants_dummy = config.announces and not situation.leaving
    dummy = situation.present.link_named(config.dummy_interface)
    if wants_dummy and dummy is None:
        actions.append(CreateDummy(config.dummy_interface))
    elif wants_dummy and dummy is not None and not dummy.is_up and dummy.alias == DUMMY_ALIAS:
        actions.append(SetUp(dummy.index, dummy.name))
    for link in situation.present.links.values():
        is_wanted = link is dummy and (wants_dummy or _has_ours(link, situation.present))
        if link.alias == DUMMY_ALIAS and not is_wanted and _is_empty(link, situation.present):
            actions.append(DeleteDummy(link.index, link.name))
    return actions


def _is_empty(link: Link, present: Present) -> bool:
    """Whether nobody but us put an address there; link-local ones are the kernel's."""
    return link.name != IPVS_INTERFACE and all(there.address.is_link_local for there in present.foreign(link.index))


def _has_ours(link: Link, present: Present) -> bool:
    return any(there.index == link.index for there in present.all_ours())


def _is_due(there: PresentAddress, spot: Spot, now: float) -> bool:
    lifetime = spot.addressing.valid_lifetime
    if not lifetime:
        return there.expires != FOREVER
    return there.expires - now <= lifetime * RENEW_BELOW or there.expires - now > lifetime + 1


def _must_be_redone(there: PresentAddress, spot: Spot, present: Present) -> bool:
    """Whether renewing isn't enough: the kernel changes some properties of an address only by taking it away first."""
    if there.no_prefix_route != spot.addressing.no_prefix_route:
        return True
    return _stands_before_foreign(there, present)


def _stands_before_foreign(there: PresentAddress, present: Present) -> bool:
    """Whether a foreign IPv4 address is secondary to ours.

    It happens when the node's address was taken away and came back while the VIP stayed. Its subnet's route then hangs
    on our address, and the kernel takes secondaries away with their primary, unless promote_secondaries is set.
    """
    if there.address.version != 4 or there.is_secondary:
        return False
    network = there.network
    return any(
        other.is_secondary and other.prefix_length == there.prefix_length and other.address in network
        for other in present.foreign(there.index)
    )


def _removal(there: PresentAddress, present: Present) -> Remove:
    link = present.links.get(there.index)
    return Remove(
        there.address,
        there.index,
        link.name if link else f"interface {there.index}",
        there.prefix_length,
        keeps_order=not _stands_before_foreign(there, present),
    )
