"""What our rules say, each as the expressions of a rule, and the names of the sets that they use. Pure.

The docstrings have them in nft's words.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.flows.expressions import (
    DELETE,
    DROP,
    INIT,
    IS_UNKNOWN,
    JUMP,
    KEY,
    LINK,
    META_L4PROTO,
    NETWORK,
    SCTP,
    TRANSPORT,
    UNEQUAL,
    UPDATE,
    begins,
    compare,
    connection_state,
    counter,
    destination,
    dynset,
    frames_of,
    lookup,
    masked,
    meta,
    onward,
    packets_of,
    payload,
    verdict,
)
from lbnodeagent.flows.tables import Server
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

IDLE: Final = 600
"""Seconds after which a kept flow without a packet is forgotten."""
BEGUN: Final = 10
"""Seconds for which it is known that a connection to a VIP whose flows are awaited began here: longer than they are."""
BEGUN_MOST: Final = 1 << 14
"""Of these: whoever fills the set has no harm done to others but what was done without it."""
PACKETS: Final = "packets"
"""The counter of all."""


def way_of(version: int) -> bytes:
    """meta protocol ip; ip daddr vmap @vips4"""
    return frames_of(version) + destination(version) + lookup(vips_map(version), is_map=True)


def renewal_of(address: IPAddress, server: Server) -> bytes:
    """tcp flags & (fin|syn|rst|ack) == syn; delete @FLOWS { KEY }"""
    return begins() + _flow_key(address.version) + dynset(flows_set(address, server), DELETE)


def forward_of(address: IPAddress, server: Server, index: IfIndex) -> bytes:
    """KEY @FLOWS; update @FLOWS { KEY timeout }; ether saddr != MAC; two counters; fwd ip to ADDRESS device NIC"""
    macs = sorted(server.macs)
    return (
        _flow_key(address.version)
        + lookup(flows_set(address, server))
        + dynset(flows_set(address, server), UPDATE, IDLE)
        + (payload(LINK, 6, 6, KEY) if macs else b"")
        + b"".join(compare(KEY, mac, UNEQUAL) for mac in macs)
        + counter(PACKETS)
        + counter(flows_set(address, server))
        + onward(server.address.packed, index)
    )


def awaited_of(version: int) -> bytes:
    """meta nfproto; ip daddr @awaited4; jump awaited4"""
    return (
        packets_of(version) + destination(version) + lookup(awaited_set(version)) + verdict(JUMP, awaited_set(version))
    )


def begun_of(version: int) -> bytes:
    """tcp flags & (fin|syn|rst|ack) == syn; update @begun4 { KEY . ip daddr timeout }"""
    size = 4 if version == 4 else 16
    return (
        begins()
        + _flow_key(version)
        + destination(version, KEY + 3 + size // 4)
        + dynset(begun_set(version), UPDATE, BEGUN)
    )


def drop_of() -> bytes:
    """tcp flags & (fin|syn|rst|ack) != syn; ct state new,invalid; counter; drop

    Invalid is what comes to the port of an old connection that conntrack knows, and isn't of that one.
    """
    return begins(UNEQUAL) + _dropped_if_unknown()


def drop_sctp_of() -> bytes:
    """meta l4proto sctp; @th,96,8 != INIT; ct state new,invalid; counter; drop

    The kernel would tell the client that it knows no such protocol.
    """
    return (
        meta(META_L4PROTO, KEY)
        + compare(KEY, SCTP)
        + payload(TRANSPORT, 12, 1, KEY)
        + compare(KEY, INIT, UNEQUAL)
        + _dropped_if_unknown()
    )


def _dropped_if_unknown() -> bytes:
    return (
        connection_state(KEY)
        + masked(KEY, IS_UNKNOWN)
        + compare(KEY, bytes(4), UNEQUAL)
        + counter(PACKETS)
        + verdict(DROP)
    )


def _flow_key(version: int) -> bytes:
    """meta l4proto . th sport . ip saddr . th dport, in registers that follow each other."""
    size, at = (4, 12) if version == 4 else (16, 8)
    return (
        meta(META_L4PROTO, KEY)
        + payload(TRANSPORT, 0, 2, KEY + 1)
        + payload(NETWORK, at, size, KEY + 2)
        + payload(TRANSPORT, 2, 2, KEY + 2 + size // 4)
    )


def flows_set(address: IPAddress, server: Server) -> str:
    """Its name, and that of the counter of its packets."""
    return f"flows-{address.packed.hex()}-{server.address.packed.hex()}"


def vips_map(version: int) -> str:
    return f"vips{version}"


def awaited_set(version: int) -> str:
    """Its name, and that of the chain for what goes to these VIPs."""
    return f"awaited{version}"


def begun_set(version: int) -> str:
    return f"begun{version}"
