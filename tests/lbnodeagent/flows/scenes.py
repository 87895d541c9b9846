"""What the tests of kept flows have in common: a node, its peers, flows."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from lbnodeagent.flows.tables import FLOW, Flow, Stand
from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.tables import Mac
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, NOW, VIP

OWN, W11, W12 = (IPv4Address(f"10.31.188.{last}") for last in (1, 11, 12))
MAC11 = Mac(bytes.fromhex("525400000011"))
LIFE, NEXT_LIFE = Life(b"life-1"), Life(b"life-2")
NODES = {"w11": W11, "w12": W12}


def members(*, keeps_flows: bool = True) -> Members:
    """The node ``own`` beside w11 and w12."""
    made = Members("own")
    for node in NODES:
        joined(made, node, LIFE, keeps_flows=keeps_flows)
    return made


def joined(made: Members, node: str, life: Life, *, keeps_flows: bool = True, is_ready: bool = True) -> None:
    """A node is there, in some run of its agent."""
    macs = frozenset({MAC11}) if node == "w11" else frozenset[Mac]()
    addresses = frozenset({NODES[node]})
    meta = Meta(is_ready, life=life, macs=macs, addresses=addresses, keeps_flows=keeps_flows, version=Version(0, 1, 0))
    made.joined(node, encode_meta(meta), NODES[node], NOW)


def stand(owner: str | None, *, is_here: bool = False, is_new: bool = False) -> Stand:
    """How the VIP stands on the node ``own``."""
    return Stand(VIP, owner, is_here, is_new, ETH0, OWN)


def flow(port: int) -> Flow:
    """A connection of the client to the VIP."""
    return Flow(FLOW.pack(6, port, 80) + ip_address("10.31.100.2").packed)
