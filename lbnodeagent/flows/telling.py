"""What was told of a VIP's flows, and what is to be told now. Pure; ``now`` is monotonic seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.flows.statements import IDLE
from lbnodeagent.flows.tables import Flow, Offer
from lbnodeagent.gossip.flowsmessage import FlowsMessage

RENEW: Final = IDLE / 2
"""Seconds after which all is told again: a flow without packets would be forgotten where it is passed on."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run of another agent knows."""

    offer: Offer
    flows: frozenset[Flow]
    renewed_at: float
    since: float
    """When something was told first."""
    most: int
    """So many at once were told of."""


def part(node: str, offer: Offer, begun: Iterable[Flow], *, is_first: bool) -> FlowsMessage:
    """What ``node`` has to say before it knows all flows that it serves."""
    return FlowsMessage(node, offer.vip, offer.address, tuple(begun), is_first=is_first)


def news(
    node: str, offer: Offer, flows: Collection[Flow], told: Told | None, now: float, *, is_open: bool = False
) -> FlowsMessage | None:
    """What ``node`` has to say of the flows that it serves now; None: nothing, unless parts were told (``is_open``)."""
    is_first = told is None or told.offer != offer or now - told.renewed_at >= RENEW
    before = told.flows if told is not None and not is_first else frozenset[Flow]()
    after = frozenset(flows)
    begun, ended = after - before, before - after
    has_news = is_open or bool(begun or ended) or (is_first and told is not None and bool(told.flows))
    if not has_news:
        return None
    return FlowsMessage(node, offer.vip, offer.address, tuple(begun), tuple(ended), is_first, is_last=True)


def told_now(offer: Offer, flows: Collection[Flow], told: Told | None, now: float) -> Told:
    """After that was said."""
    is_first = told is None or told.offer != offer or now - told.renewed_at >= RENEW
    if told is None:
        return Told(offer, frozenset(flows), now, now, len(flows))
    return Told(offer, frozenset(flows), now if is_first else told.renewed_at, told.since, max(told.most, len(flows)))
