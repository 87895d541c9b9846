"""Where the allocator would have each VIP of a Service: its owner, then who takes over. Read and written.

``purelb.io/placement: 192.168.1.5=w11,w12 fd00::5=w12,w13``: for each VIP the nodes in their order, as the planner
gave them (allocator/placement). Any tenant can edit the annotations of a Service, so what is read is bounded, and what
can't be read is left out: for such a VIP the hash rule decides, as without a plan. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError

MOST_NODES: Final = 4
"""Nodes per VIP that count: after so many deaths there's a new plan, or no allocator."""
MOST_BYTES: Final = 32 * 1024
"""Of the annotation; a longer one isn't ours."""
_NODE: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""The name of a Node (RFC 1123)."""


def parse_placement(text: str) -> dict[IPAddress, tuple[str, ...]]:
    """VIP to nodes, the owner first, each once; what can't be read is left out."""
    if len(text) > MOST_BYTES:
        return {}
    found: dict[IPAddress, tuple[str, ...]] = {}
    for entry in text.split():
        vip, _, listed = entry.partition("=")
        nodes = tuple(dict.fromkeys(node for node in listed.split(",") if _NODE.fullmatch(node)))[:MOST_NODES]
        try:
            address = parse_address(vip)
        except AddressError:
            continue
        if nodes:
            found[address] = nodes
    return found


def write_placement(placement: Mapping[IPAddress, Sequence[str]]) -> str:
    """The annotation's text; equal for equal plans. VIPs for which there's no room in what is read are left out."""
    entries, size = list[str](), 0
    for vip in sorted(placement, key=lambda vip: (vip.version, vip)):
        entry = f"{vip}={','.join(placement[vip][:MOST_NODES])}"
        size += len(entry) + 1
        if size > MOST_BYTES:
            break
        if placement[vip]:
            entries.append(entry)
    return " ".join(entries)
