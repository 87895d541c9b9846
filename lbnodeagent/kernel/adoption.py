"""Addresses that an earlier run may have left without a note: ours if they look so **and** a Service has them. Pure.

That run was of a version that kept no ledger, or the ledger is lost. Only what is there when the agent starts is
considered, until all that is wanted is known; the rest is somebody else's, and is left alone.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import PresentAddress
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)

LONGEST: Final = 600
"""Seconds that an address on a NIC had to live at most, as those versions placed it."""


def has_signature(address: IPAddress, *, is_on_made: bool, no_prefix_route: bool, preferred: int, valid: int) -> bool:
    """Whether an address looks like one of ours; lifetimes in seconds. ``is_on_made``: on a dummy interface of ours."""
    if is_on_made:
        return not address.is_link_local
    return no_prefix_route and preferred == 0 and valid <= LONGEST


class Adoption:
    """``offer`` at the start, ``claim`` for what is wanted, ``end`` when all of that is known."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._offered: set[IPAddress] = set()

    def offer(self) -> None:
        """What is there now may be adopted."""
        self._offered = {there.address for there in self._present.all() if there.looks_ours and not there.is_ours}

    def claim(self, vip: IPAddress) -> list[tuple[PresentAddress, str]]:
        """``vip`` is wanted: where it was offered it is ours from now on. Each with its interface, once."""
        if vip not in self._offered:
            return []
        self._offered.discard(vip)
        claimed: list[tuple[PresentAddress, str]] = []
        for there in self._present.at(vip):
            link = self._present.links.get(there.index)
            if there.looks_ours and not there.is_ours and link is not None:
                ours = replace(there, is_ours=True)
                self._present.set_address(ours)
                claimed.append((ours, link.name))
        return claimed

    def end(self) -> None:
        """All that is wanted is known: what is left is not ours."""
        left = [vip for vip in self._offered if any(not there.is_ours for there in self._present.at(vip))]
        if left:
            text = "these look like addresses of an earlier run, but no Service has them: they are left alone"
            log.info(text, extra={"addresses": [str(vip) for vip in left]})
        self._offered = set()
