"""Looks at conntrack for flows of VIPs that are others' now, and tells their owners of them.

Owns the thread's work and who knows of what. The data plane's loop never waits for it. A first look at many flows takes
a while, so its owner is told of them as they are found: what it doesn't know yet it holds up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.tables import Flow, Offer
from lbnodeagent.flows.telling import Told, news, part, told_now
from lbnodeagent.gossip.flowsmessage import FLOWS_MOST, FlowsMessage
from lbnodeagent.gossip.peers import Peers
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

SOON: Final = 0.01
"""Seconds between two looks at what has been found."""
WORTH: Final = 2000
"""Flows for which a message is worth its while, before all are found."""


class Teller:
    """One look at a time."""

    def __init__(self, node: str, peers: Peers, conntrack: Netfilter, at_conntrack: Executor) -> None:
        self._node = node
        self._peers = peers
        self._conntrack = conntrack
        self._at_conntrack = at_conntrack
        self._told: dict[IPAddress, Told] = {}
        self._revoked: set[IPAddress] = set()

    def revoke(self, vip: IPAddress) -> None:
        """It is here again, or nobody's: what a look under way finds of it is nobody's business."""
        self._revoked.add(vip)

    def ended(self, vip: IPAddress) -> None:
        """The last flow of it has ended, or it is here again, or nobody's."""
        self._revoked.discard(vip)
        told = self._told.pop(vip, None)
        if told is not None and told.most:
            seconds = round(asyncio.get_running_loop().time() - told.since, 1)
            log.info("flows are served on no longer", extra={"vip": str(vip), "flows": told.most, "seconds": seconds})

    async def look(self, offers: Sequence[Offer]) -> Mapping[IPAddress, int]:
        """How many flows are served here of each VIP whose new owner knows of them."""
        found: dict[IPAddress, list[Flow]] = {offer.vip: [] for offer in offers}
        of_owner: dict[str, list[Offer]] = {}
        for offer in offers:
            of_owner.setdefault(offer.to, []).append(offer)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(found))
            tells = [tasks.create_task(self._tell_all(its, found, reading)) for its in of_owner.values()]
        return {vip: len(found[vip]) for tell in tells for vip in tell.result()}

    async def _read(self, found: Mapping[IPAddress, list[Flow]]) -> bool:
        try:
            await self._in(self._conntrack.note_live_flows, found)
        except KernelError as error:
            log.warning("conntrack could not be read", extra={"error": str(error)})
            return False
        return True

    async def _tell_all(
        self, offers: Sequence[Offer], found: Mapping[IPAddress, list[Flow]], reading: asyncio.Task[bool]
    ) -> list[IPAddress]:
        """The VIPs of one owner of whose flows it knows; when it takes none now, the rest waits for the next look."""
        early = {offer: 0 for offer in offers if self._is_new(offer)}
        while not reading.done():
            await asyncio.wait((reading,), timeout=SOON)
            for offer, count in early.items():
                begun = found[offer.vip][count : count + FLOWS_MOST]
                if reading.done() or len(begun) < WORTH or offer.vip in self._revoked:
                    continue
                if not await self._send(offer, part(self._node, offer, begun, is_first=not count)):
                    return []
                early[offer] = count + len(begun)
        known = list[IPAddress]()
        for offer in offers if reading.result() else ():
            if offer.vip in self._revoked:
                continue
            if not await self._tell(offer, found[offer.vip], early.get(offer, 0)):
                break
            known.append(offer.vip)
        return known

    def _is_new(self, offer: Offer) -> bool:
        told = self._told.get(offer.vip)
        return told is None or told.offer != offer

    async def _tell(self, offer: Offer, flows: list[Flow], early: int) -> bool:
        """Whether the new owner knows of these. It was told of so many of them already."""
        told, now = self._told.get(offer.vip), asyncio.get_running_loop().time()
        if told is None and not flows:
            return True
        is_new = self._is_new(offer)
        known = await self._in(told_now, offer, flows[:early], None, now) if early else told
        message = await self._in(news, self._node, offer, flows, known, now, is_open=early > 0)
        if message is not None:
            if not await self._send(offer, message):
                return False
            if flows and (is_new or message.is_first):
                about = {"vip": str(offer.vip), "to": offer.to, "flows": len(flows)}
                log.info("flows are served on", extra=about)
        self._told[offer.vip] = await self._in(told_now, offer, flows, told, now)
        return True

    async def _send(self, offer: Offer, message: FlowsMessage) -> bool:
        """Whether it is there; if it isn't, all is to be told anew."""
        if await self._peers.send_flows(offer.to, message):
            return True
        self._told.pop(offer.vip, None)
        return False

    async def _in(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """Do it in the thread: what was cancelled while that was at it is done before what comes next."""
        return await asyncio.get_running_loop().run_in_executor(self._at_conntrack, partial(work, *given, **named))
