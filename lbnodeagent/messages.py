"""What the control plane tells the data plane. Frozen values that travel through a Mailbox under their ``key``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from lbnodeagent.gate.failures import Failure
from lbnodeagent.tables import WantedVip
from purelb.addresses import IPAddress
from purelb.checks import Check
from purelb.nodeagents import NodeAgentConfig


@dataclass(frozen=True, slots=True)
class Begun:
    """The control plane begins (again): it will tell everything, and knows nothing that was reported before."""


@dataclass(frozen=True, slots=True)
class VipChanged:
    """A VIP is wanted so, or (None) no longer."""

    vip: IPAddress
    wanted: WantedVip | None


@dataclass(frozen=True, slots=True)
class Configured:
    """What the LBNodeAgent says that applies to this node."""

    config: NodeAgentConfig


@dataclass(frozen=True, slots=True)
class KeysKnown:
    """The gossip's keys: the first one is to seal, as soon as all peers open it; all open."""

    keys: tuple[bytes, ...]


class Peer(NamedTuple):
    """Another agent."""

    node: str
    address: str


@dataclass(frozen=True, slots=True)
class PeersKnown:
    """The other agents' pods; without a label selector other pods are among them."""

    peers: frozenset[Peer]
    running: frozenset[str] = frozenset()
    """The nodes where an agent runs that should be heard."""

    @property
    def addresses(self) -> frozenset[str]:
        """Where they can be reached."""
        return frozenset(peer.address for peer in self.peers)


@dataclass(frozen=True, slots=True)
class NodeExcluded:
    """Whether the Node object keeps load balancer traffic away from this node (label, cordon)."""

    is_excluded: bool


@dataclass(frozen=True, slots=True)
class NodeFailing:
    """What the Node object says against this node's data path; None: nothing."""

    failure: Failure | None


@dataclass(frozen=True, slots=True)
class NodeAddresses:
    """This node's own addresses, by its Node object."""

    internal: frozenset[IPAddress] = frozenset()
    """On its interfaces, as kubelet found them: a VIP may be among them."""
    external: frozenset[IPAddress] = frozenset()
    """By which it is reached from outside, as an operator or the cloud says; on an interface or not."""


@dataclass(frozen=True, slots=True)
class BehindApi:
    """Whether it is unknown for a while what has become of Services."""

    is_behind: bool


@dataclass(frozen=True, slots=True)
class FoundWrong:
    """Which checks find something wrong around this node now."""

    checks: frozenset[Check]


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything that is wanted has been told once: what wasn't is not wanted."""


Told: TypeAlias = (
    Begun
    | VipChanged
    | Configured
    | KeysKnown
    | PeersKnown
    | NodeExcluded
    | NodeFailing
    | NodeAddresses
    | BehindApi
    | FoundWrong
    | Synced
)
ToldKey: TypeAlias = tuple[type, IPAddress | None]


def key_of(told: Told) -> ToldKey:
    """What a newer value replaces."""
    return (type(told), told.vip if isinstance(told, VipChanged) else None)
