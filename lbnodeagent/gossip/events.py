"""What happens in the gossip, as the data plane hears it: values. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.meta import HandoverMessage
from lbnodeagent.gossip.straymessage import StrayMessage
from memberlist.events import (
    Event,
    JoinSealed,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    UserMessage,
)
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GossipStarted:
    """Peers can be heard from now on: before that, their silence means nothing."""


@dataclass(frozen=True, slots=True)
class GossipEnded:
    """Peers can't be heard any more."""


@dataclass(frozen=True, slots=True)
class PeerAlive:
    """Another member is alive, and says this of itself."""

    node: str
    meta: bytes
    address: IPAddress
    """Where it gossips from: one of the node's own."""


@dataclass(frozen=True, slots=True)
class PeerGone:
    """Another member failed, or left (``for_good``)."""

    node: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class Deaf:
    """Whether there are agents that answer what no key of ours opens: they have another one."""

    is_deaf: bool


@dataclass(frozen=True, slots=True)
class CutOff:
    """Whether nobody answers this node any more: it may be the one that is away."""

    is_cut_off: bool


@dataclass(frozen=True, slots=True)
class StoodStill:
    """This agent didn't run for a while: what its peers made of its silence is still to be heard."""


@dataclass(frozen=True, slots=True)
class KeyRetired:
    """A key of the gossip is in use no more: what was said by it alone is believed no longer."""


PeerEvent: TypeAlias = (
    GossipStarted
    | GossipEnded
    | PeerAlive
    | PeerGone
    | Deaf
    | CutOff
    | StoodStill
    | KeyRetired
    | HandoverMessage
    | FlowsMessage
    | StrayMessage
)


def peer_event(event: Event, own: str) -> PeerEvent | None:
    """What an event of memberlist means to the node ``own``; None: nothing."""
    match event:
        case MemberJoined(member) | MemberUpdated(member):
            return PeerAlive(member.name, member.meta, member.address) if member.name != own else None
        case MemberFailed(member):
            return PeerGone(member.name, for_good=False) if member.name != own else None
        case MemberLeft(member):
            return PeerGone(member.name, for_good=True) if member.name != own else None
        case MemberSuspected():
            return None
        case UserMessage():
            return None  # correspondence.py reads it
        case JoinSealed():
            return None  # whom it concerns is known to peers.py, which tried
        case NameConflict(existing, address, _):
            log.error(
                "two nodes gossip under one name",
                extra={"node": existing.name, "known": str(existing.address), "other": str(address)},
            )
            return None
        case _:
            assert_never(event)
