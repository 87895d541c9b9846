"""What a member tells its application.

Owns the event types and the public view of a member; frozen values, safe to keep and to hand to another thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memberlist.messages import Address, State


class Versions(NamedTuple):
    """What a member says to understand and to speak; the application's triple is the delegate's."""

    protocol_min: int = 0
    protocol_max: int = 0
    protocol: int = 0
    delegate_min: int = 0
    delegate_max: int = 0
    delegate: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it is known at one moment."""

    name: str
    address: Address
    port: int
    meta: bytes
    state: State
    incarnation: int
    versions: Versions


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """New, or back from the dead or the left; also ourselves, once, at the start."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberUpdated:
    """Its metadata changed, or it refuted a suspicion."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberSuspected:
    """It didn't answer somebody; it still counts as alive."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberFailed:
    """It didn't answer, and didn't refute in time."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """It said that it leaves."""

    member: Member


@dataclass(frozen=True, slots=True)
class UserMessage:
    """Sent by the application of some member; neither its sender nor that it comes once is guaranteed."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class NameConflict:
    """Somebody claims the name of a live member from another address; the claim is ignored."""

    existing: Member
    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class JoinSealed:
    """Whoever is there answered our wish to join with what no key of ours opens."""

    address: Address
    port: int


Event = (
    MemberJoined | MemberUpdated | MemberSuspected | MemberFailed | MemberLeft | UserMessage | NameConflict | JoinSealed
)
