"""What the rules for strays say, each as the expressions of a rule, and the names of the sets that they use. Pure.

The docstrings have them in nft's words; KEY is ``tcp sport . ip saddr . tcp dport . ip daddr``.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.flows.expressions import (
    ADD,
    DELETE,
    DROP,
    IS_NEW,
    JUMP,
    KEY,
    LINK,
    NETWORK,
    RETURN,
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
    onward,
    packets_of,
    payload,
    tcp,
    verdict,
)
from lbnodeagent.flows.statements import PACKETS
from lbnodeagent.flows.strays import HELD
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

IDLE: Final = 60
"""Seconds after which a located connection without a packet is forgotten: its next one is held back and asked for."""
LOCATED: Final = 1800
"""Likewise with packets: rules can't prolong what a verdict hangs on."""
SERVER_PREFIX: Final = "to-"
KNOWN: Final = 60
"""Seconds for which a connection that was held back isn't again."""


# --- netdev: what is passed on ---------------------------------------------------------------------------------------


def way_of(version: int) -> bytes:
    """meta protocol ip; ip daddr @routed4; jump strays4"""
    return (
        frames_of(version) + destination(version) + lookup(routed_set(version)) + verdict(JUMP, strays_chain(version))
    )


def once_of(version: int) -> bytes:
    """ether saddr @macs4; return"""
    return payload(LINK, 6, 6, KEY) + lookup(macs_set(version)) + verdict(RETURN)


def renewal_of(version: int) -> bytes:
    """tcp flags & (fin|syn|rst|ack) == syn; delete @active4 { KEY }"""
    return begins() + _key(version) + dynset(active_set(version), DELETE)


def located_of(version: int) -> bytes:
    """meta l4proto tcp; KEY @active4; update @active4 { KEY timeout }; KEY vmap @located4"""
    return (
        tcp()
        + _key(version)
        + lookup(active_set(version))
        + dynset(active_set(version), UPDATE, IDLE)
        + lookup(located_map(version), is_map=True)
    )


def forward_to(server: IPAddress, index: IfIndex) -> bytes:
    """counter; fwd ip to ADDRESS device NIC"""
    return counter(PACKETS) + onward(server.packed, index)


# --- inet: what is held back -----------------------------------------------------------------------------------------


def stray_of(version: int) -> bytes:
    """meta nfproto; ip daddr @routed4; tcp flags & (fin|syn|rst|ack) != syn; ct state new; jump strays4"""
    return (
        packets_of(version)
        + destination(version)
        + lookup(routed_set(version))
        + begins(UNEQUAL)
        + connection_state(KEY)
        + masked(KEY, IS_NEW)
        + compare(KEY, bytes(4), UNEQUAL)
        + verdict(JUMP, strays_chain(version))
    )


def hold_of(version: int) -> bytes:
    """KEY @held4; counter; drop"""
    return _key(version) + lookup(held_set(version)) + counter(PACKETS) + verdict(DROP)


def pass_of(version: int) -> bytes:
    """KEY @known4; return"""
    return _key(version) + lookup(known_set(version)) + verdict(RETURN)


def begin_of(version: int) -> bytes:
    """add @known4 { KEY timeout }; add @held4 { KEY timeout }; counter; drop

    Where a set is full the rule ends there, and the packet goes its way.
    """
    return (
        _key(version)
        + dynset(known_set(version), ADD, KNOWN)
        + dynset(held_set(version), ADD, int(HELD))
        + counter(PACKETS)
        + verdict(DROP)
    )


# --- names -----------------------------------------------------------------------------------------------------------


def strays_chain(version: int) -> str:
    return f"strays{version}"


def routed_set(version: int) -> str:
    return f"routed{version}"


def located_map(version: int) -> str:
    return f"located{version}"


def active_set(version: int) -> str:
    return f"active{version}"


def server_chain(server: IPAddress) -> str:
    return f"{SERVER_PREFIX}{server.packed.hex()}"


def macs_set(version: int) -> str:
    return f"macs{version}"


def held_set(version: int) -> str:
    return f"held{version}"


def known_set(version: int) -> str:
    return f"known{version}"


def _key(version: int) -> bytes:
    """In registers that follow each other."""
    size, source, destination = (4, 12, 16) if version == 4 else (16, 8, 24)
    return (
        payload(TRANSPORT, 0, 2, KEY)
        + payload(NETWORK, source, size, KEY + 1)
        + payload(TRANSPORT, 2, 2, KEY + 1 + size // 4)
        + payload(NETWORK, destination, size, KEY + 2 + size // 4)
    )
