"""By what tables of an earlier run are known to be like ours, and what there is of kept flows in them. Pure.

A chain without rules has the layout's name: a digest of all that is asked of the kernel to have our tables, so that an
agent with other rules doesn't take over what it doesn't know. Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from lbnodeagent.flows import nftables, straychains
from lbnodeagent.flows.expressions import text
from lbnodeagent.flows.nfnetlink import DUMP, Message, messages_of
from lbnodeagent.flows.objects import INET, NETDEV, TABLE, chain, no_elements
from lbnodeagent.flows.statements import awaited_set
from lbnodeagent.flows.tables import Adopted
from lbnodeagent.kernel.attributes import attributes
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

_FAMILIES: Final = (NETDEV, INET)
_GET_CHAIN, _NEW_SET, _GET_SET = 10 << 8 | 4, 10 << 8 | 9, 10 << 8 | 10
_OF_FLOWS: Final = re.compile(r"flows-([0-9a-f]{8}|[0-9a-f]{32})-([0-9a-f]{8}|[0-9a-f]{32})")


def name() -> str:
    """The layout's."""
    asked = (*nftables.tables(), *straychains.tables(), *nftables.trial(), *straychains.trial())
    hooked = nftables.nic(IfIndex(1), "")
    digest = hashlib.sha256(b"".join(message.body for message in (*asked, *hooked)))
    return f"layout-{digest.hexdigest()[:16]}"


def mark() -> list[Message]:
    """Say in both tables that they are so."""
    return [chain(family, name()) for family in _FAMILIES]


def read_mark() -> list[Message]:
    """Whether they say so: each is answered if they do."""
    return [Message(_GET_CHAIN, 0, family, text(1, TABLE) + text(3, name())) for family in _FAMILIES]


def read_sets() -> Message:
    """Which sets there are."""
    return Message(_GET_SET, DUMP, NETDEV, text(1, TABLE))


def adopted(data: bytes) -> Iterator[Adopted]:
    """Whose flows are passed on, by a part of the answer to that."""
    for kind, body in messages_of(data):
        its = attributes(body[4:]) if kind == _NEW_SET else {}
        found = _OF_FLOWS.fullmatch(its.get(2, b"").rstrip(b"\0").decode(errors="replace"))
        if found is not None and its.get(1, b"").rstrip(b"\0").decode(errors="replace") == TABLE:
            yield Adopted(_address(found[1]), _address(found[2]))


def begin_again() -> list[Message]:
    """Nothing is awaited: which VIPs are is to be said anew."""
    return [no_elements(INET, awaited_set(version)) for version in straychains.VERSIONS]


def _address(digits: str) -> IPAddress:

    return ip_address(bytes.fromhex(digits))
