"""What to do, from what is wanted, what is there and who owns what. Pure: the same input gives the same list.

Planning from the state that a plan leads to gives an empty plan. It never touches an address without our mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lbnodeagent.interfaces import IPVS_INTERFACE, NicSubnet, nic_subnets, subnet_for
from lbnodeagent.present import Present
from lbnodeagent.tables import (
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
from purelb.resources import NodeAgentConfig

DUMMY_ALIAS: Final = "made by PureLB's lbnodeagent"
"""The alias of a dummy interface that we made: only such a one is deleted."""
RENEW_BELOW: Final = 0.6
"""Share of its lifetime below which an address is renewed: looked at every quarter, that is every second time."""
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
    """Whether this agent shuts down: nothing new is placed, and only what is held stays."""
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
    if situation.leaving or situation.is_onlink(vip):
        return None
    if wanted.onlink_only:
        return Blocked(vip, config.local_interface, NO_SUBNET) if situation.is_spokesman else None
    if wanted.endpoints is not None and situation.node not in wanted.endpoints:
        return None
    dummy = situation.present.link_named(config.dummy_interface)
    if dummy is None:
        return None  # plan_links makes it; this VIP is looked at again when it is there
    if any(there.index == dummy.index and not there.is_ours for there in situation.present.at(vip)):
        return Blocked(vip, dummy.name, TAKEN)
    prefix_length = wanted.host_prefix if wanted.aggregation is None else wanted.aggregation
    return Spot(dummy.index, dummy.name, prefix_length, False, config.dummy_addressing)


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
        if link.alias == DUMMY_ALIAS and not (wants_dummy and link is dummy) and _is_empty(link, situation.present):
            actions.append(DeleteDummy(link.index, link.name))
    return actions


def _is_empty(link: Link, present: Present) -> bool:
    """Whether nobody but us put an address there; link-local ones are the kernel's."""
    return link.name != IPVS_INTERFACE and all(there.address.is_link_local for there in present.foreign(link.index))


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
