"""Who announces a VIP on a NIC, as its Service's annotations say. Pure.

The forms are those of purelb/announcing.py: ``node,interface``, or ``node,interface,ip`` for each address, divided by
blanks. Tenants can write there what they like, so little of it is read.
"""

from __future__ import annotations

from typing import Final

from purelb import names
from purelb.addresses import IPAddress
from purelb.services import ServiceView

_MOST: Final = 64
"""Entries that are read."""


def announcer(service: ServiceView, address: IPAddress) -> str | None:
    """The node; None where none is named, or it may be another address's."""
    key = names.ANNOUNCING_IPV4 if address.version == 4 else names.ANNOUNCING_IPV6
    text = str(address)
    is_only = sum(other.version == address.version for other in service.ingress) == 1
    for entry in service.annotations.get(key, "").split(maxsplit=_MOST)[:_MOST]:
        node, _, rest = entry.partition(",")
        _, has_address, said = rest.partition(",")
        if said == text or (is_only and not has_address):
            return node
    return None
