"""What to do, from what is wanted, what is there and who owns what. Pure: the same input gives the same list.

Planning from the state that a plan leads to gives an empty plan. It never touches an address without our mark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from lbnodeagent.dataplane.invariants import Refusal, refusal_of
from lbnodeagent.dataplane.situation import LinkSituation, Situation, VipSituation
from lbnodeagent.kernel.interfaces import subnet_for
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    Action,
    CreateDummy,
    DeleteDummy,
    Place,
    PresentAddress,
    Remove,
    SetUp,
    Spot,
    WantedVip,
)
from purelb.addresses import IPAddress
from purelb.nodeagents import AddressConfig

RENEW_BELOW: Final = 0.6
"""Share of its lifetime below which an address is renewed: looked at every quarter, that is every second time, but
every time where it lives less than 13 s (the kernel is given two seconds less)."""
LEFT_BEHIND: Final = 300
"""Seconds for which a routed VIP outlives its agent: an agent that is replaced takes over, and one that isn't leaves
nothing behind for ever."""
TAKEN: Final = "the address is on the interface already and was not put there by PureLB"


NO_SUBNET: Final = (
    "no node has an interface on a subnet that holds it, as an address of a local pool needs; "
    "one of a remote pool would be routed"
)
DUPLICATE: Final = "duplicate address detection found another host that has the address"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A VIP that ought to be here and can't."""

    vip: IPAddress
    interface: str
    reason: str
    refusal: Refusal | None = None
    """The rule that forbids it, if one does."""


Destination: TypeAlias = Spot | Blocked | None


def plan(situation: Situation) -> tuple[list[Action], list[Blocked]]:
    """The actions for the VIPs of a pass, places before removals, and the VIPs that can't be placed."""
    first: list[Action] = []
    places: list[Action] = []
    removals: list[Action] = []
    blocked: list[Blocked] = []
    for vip, its in situation.vips.items():
        if its.is_unjudged and not its.is_claimed:
            continue
        destination = destination_of(vip, situation)
        if isinstance(destination, Blocked):
            blocked.append(destination)
            destination = None
        settled = False
        for there in its.ours:
            if destination is None or (there.index, there.prefix_length) != (
                destination.index,
                destination.prefix_length,
            ):
                removals.append(_removal(there, situation))
            elif _must_be_redone(there, destination, situation):
                first.append(_removal(there, situation))
                places.append(Place(vip, destination, is_renewal=True))
                settled = True
            else:
                settled = True
                if _is_due(there, destination, situation.now, situation.stays_for if destination.is_local else 0.0):
                    places.append(Place(vip, destination, is_renewal=True))
        if destination is not None and not settled:
            detects = vip.version == 6 and destination.is_local and its.is_new
            places.append(Place(vip, destination, detects_duplicates=detects))
    return [*first, *places, *removals], blocked


def plan_adopted(situation: Situation) -> list[Action]:
    """The same before the configuration is known, for what an earlier run left: it stays where it is, or goes.

    It goes when a peer has it or another host answers for it. Else it's renewed as long as it's held, and expires
    otherwise.
    """
    actions: list[Action] = []
    for vip, its in situation.vips.items():
        for there in its.ours:
            link = situation.links.get(there.index)
            if link is None or there.expires == FOREVER:
                continue
            spot = Spot(there.index, link.name, there.prefix_length, True, situation.config.local_addressing)
            if its.is_claimed:
                actions.append(_removal(there, situation))
            elif its.is_held:
                if _is_due(there, spot, situation.now):
                    actions.append(Place(vip, spot, is_renewal=True))
            elif its.owner is not None:
                actions.append(_removal(there, situation))
    return actions


def destination_of(vip: IPAddress, situation: Situation) -> Destination:
    """Where ``vip`` belongs on this node, and may be; None: nowhere."""
    spot = _spot_of(vip, situation)
    if not isinstance(spot, Spot):
        return spot
    refusal = refusal_of(Place(vip, spot), situation.facts)
    return spot if refusal is None else Blocked(vip, refusal.interface, refusal.reason, refusal)


def _spot_of(vip: IPAddress, situation: Situation) -> Destination:
    its, config = situation.vips[vip], situation.config
    if its.wanted is not None and its.nowhere is not None and not its.ours:
        return Blocked(vip, "", its.nowhere)
    if its.wanted is None or not config.announces:
        return None
    subnet = subnet_for(vip, situation.subnets)
    if subnet is not None:
        if not subnet.has_carrier:
            return None
        if not its.is_held and (situation.leaving or its.owner != situation.node):
            return None
        if any(there.index == subnet.index and not there.is_ours for there in its.there):
            return Blocked(vip, subnet.interface, TAKEN)
        if its.is_duplicate:
            return Blocked(vip, subnet.interface, DUPLICATE)
        addressing = _until_the_next_agent(config.local_addressing, situation.stays_for)
        return Spot(subnet.index, subnet.interface, subnet.prefix_length, True, addressing)
    if any(vip in network for network in situation.onlink):
        return None
    if its.wanted.onlink_only:
        is_mine_to_tell = situation.is_spokesman and not situation.leaving
        return Blocked(vip, config.local_interface, NO_SUBNET) if is_mine_to_tell else None
    return _routed_destination(its.wanted, its, situation)


def _routed_destination(wanted: WantedVip, its: VipSituation, situation: Situation) -> Destination:
    """Likewise for a VIP that is on no node's subnet: the dummy interface."""
    vip, config = wanted.address, situation.config
    dummy = situation.link_named(config.dummy_interface)
    if dummy is None:
        return _where_it_is(its, situation)  # plan_links makes it; this VIP is looked at again when it is there
    is_here = any(there.index == dummy.index for there in its.ours)
    is_for_others = its.is_spared or (wanted.endpoints is not None and situation.node not in wanted.endpoints)
    if is_for_others:
        if not (is_here and its.lingers):
            return None
    elif not is_here and situation.leaving:
        return None
    elif not is_here and situation.router_trouble is not None:
        return Blocked(vip, dummy.name, situation.router_trouble) if situation.router_trouble else None
    if any(there.index == dummy.index and not there.is_ours for there in its.there):
        return Blocked(vip, dummy.name, TAKEN)
    prefix_length = wanted.host_prefix if wanted.aggregation is None else wanted.aggregation
    ends = situation.leaving or situation.stays_for
    addressing = _for_the_time_after(config.dummy_addressing) if ends else config.dummy_addressing
    return Spot(dummy.index, dummy.name, prefix_length, False, addressing)


def _where_it_is(its: VipSituation, situation: Situation) -> Spot | None:
    """The dummy interface of another name on which a VIP still is."""
    for there in its.ours:
        link = situation.links.get(there.index)
        if link is not None and link.alias == DUMMY_ALIAS:
            return Spot(there.index, link.name, there.prefix_length, False, situation.config.dummy_addressing)
    return None


def _for_the_time_after(addressing: AddressConfig) -> AddressConfig:
    """How a routed VIP sits there while no agent runs; one that has a lifetime anyway keeps it."""
    if addressing.valid_lifetime:
        return addressing
    return replace(addressing, valid_lifetime=LEFT_BEHIND, preferred_lifetime=LEFT_BEHIND)


def _until_the_next_agent(addressing: AddressConfig, stays_for: float) -> AddressConfig:
    """How a VIP on a NIC sits there while an agent is replaced by another; the kernel is given two seconds less."""
    if not stays_for:
        return addressing
    seconds = math.ceil(stays_for) + 2
    preferred = None if addressing.preferred_lifetime is None else min(addressing.preferred_lifetime, seconds)
    return replace(addressing, valid_lifetime=seconds, preferred_lifetime=preferred)


def plan_links(situation: LinkSituation) -> list[Action]:
    """Have the dummy interface, up; drop one of ours that has another name than the configuration's, once it's empty.

    Else routers would have no route to its VIPs until they are on the other one.
    """
    config, actions = situation.config, list[Action]()
    wants_dummy = config.announces and not situation.leaving
    dummy = next((link for link in situation.links if link.name == config.dummy_interface), None)
    if wants_dummy and dummy is None:
        actions.append(CreateDummy(config.dummy_interface))
    elif wants_dummy and dummy is not None and not dummy.is_up and dummy.alias == DUMMY_ALIAS:
        actions.append(SetUp(dummy.index, dummy.name))
    for link in situation.links:
        is_wanted = link.index in situation.with_vips or (link is dummy and wants_dummy)
        if link.alias == DUMMY_ALIAS and not is_wanted and link.index not in situation.with_others:
            actions.append(DeleteDummy(link.index, link.name))
    return actions


def _is_due(there: PresentAddress, spot: Spot, now: float, stays_for: float = 0.0) -> bool:
    lifetime = spot.addressing.valid_lifetime
    if not lifetime:
        return there.expires != FOREVER
    if there.expires - now < stays_for - 1:
        return True
    return there.expires - now <= lifetime * RENEW_BELOW or there.expires - now > lifetime + 1


def _must_be_redone(there: PresentAddress, spot: Spot, situation: Situation) -> bool:
    """Whether renewing isn't enough: the kernel changes some properties of an address only by taking it away first."""
    if there.no_prefix_route != spot.addressing.no_prefix_route:
        return True
    return _stands_before_foreign(there, situation)


def _stands_before_foreign(there: PresentAddress, situation: Situation) -> bool:
    """Whether a foreign IPv4 address is secondary to ours.

    It happens when the node's address was taken away and came back while the VIP stayed. Its subnet's route then hangs
    on our address, and the kernel takes secondaries away with their primary, unless promote_secondaries is set.
    """
    if there.address.version != 4 or there.is_secondary:
        return False
    network = there.network
    return any(
        other.is_secondary and other.prefix_length == there.prefix_length and other.address in network
        for other in situation.foreign.get(there.index, ())
    )


def _removal(there: PresentAddress, situation: Situation) -> Remove:
    link = situation.links.get(there.index)
    return Remove(
        there.address,
        there.index,
        link.name if link else f"interface {there.index}",
        there.prefix_length,
        keeps_order=not _stands_before_foreign(there, situation),
    )
