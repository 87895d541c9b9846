"""Carries out planned actions: netlink, then the neighbours. Returns what did not work. It decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from lbnodeagent.announcer import Announcer
from lbnodeagent.errors import KernelError
from lbnodeagent.netlink import Netlink
from lbnodeagent.present import Present
from lbnodeagent.tables import Action, CreateDummy, DeleteDummy, IfIndex, Place, Remove, SetUp
from purelb.metrics import AgentMetrics
from purelb.resources import GarpConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that the kernel refused."""

    action: Action
    reason: str


class Executor:
    """Applies actions to the kernel, and what came of them to ``present``, without waiting for its notification."""

    def __init__(self, netlink: Netlink, present: Present, announcer: Announcer, metrics: AgentMetrics) -> None:
        self._netlink = netlink
        self._present = present
        self._announcer = announcer
        self._metrics = metrics

    async def execute(self, actions: Iterable[Action], garp: GarpConfig, now: float) -> list[Failure]:
        """All actions in their order; one that fails doesn't keep the others from being tried."""
        failures = []
        for action in actions:
            try:
                await self._execute(action, garp, now)
            except KernelError as error:
                failures.append(Failure(action, str(error)))
                log.warning("refused by the kernel", extra={"action": repr(action), "error": str(error)})
        return failures

    async def _execute(self, action: Action, garp: GarpConfig, now: float) -> None:
        match action:
            case Place():
                await self._place(action, garp, now)
            case Remove():
                await self._remove(action)
            case CreateDummy(name):
                kind = await self._netlink.create_dummy(name)
                if kind == "dummy":
                    log.info("interface created", extra={"interface": name, "kind": kind})
                else:
                    log.warning(
                        "interface created of another kind, because this kernel has no dummy interfaces",
                        extra={"interface": name, "kind": kind},
                    )
            case SetUp(index, name):
                await self._netlink.set_up(index, name)
                log.info("interface set up", extra={"interface": name})
            case DeleteDummy(index, name):
                await self._delete(index, name)
            case _:
                assert_never(action)

    async def _place(self, place: Place, garp: GarpConfig, now: float) -> None:
        vip, spot = place.vip, place.spot
        try:
            there = await self._netlink.place(vip, spot, is_renewal=place.is_renewal)
        except KernelError:
            if place.is_renewal:
                self._metrics.renewal_errors.inc()
            raise
        self._present.set_address(there)
        if place.is_renewal:
            self._metrics.renewals.inc()
            return
        self._metrics.additions.inc()
        log.info("announce", extra={"vip": str(vip), "interface": spot.interface, "prefix": spot.prefix_length})
        if not spot.is_local:
            return
        link = self._present.links.get(spot.index)
        if link is not None and link.mac is not None:
            self._announcer.announce(vip, spot.interface, link.mac, garp, now)

    async def _remove(self, remove: Remove) -> None:
        if not remove.keeps_order:
            # The node's own address hangs on ours: without this the kernel would take both away.
            self._netlink.promote_secondaries(remove.index)
        # Forgotten first: the kernel's notification can overtake its answer, and would look like somebody else's doing.
        there = self._present.drop_address(remove.index, remove.vip, remove.prefix_length)
        try:
            await self._netlink.remove(remove.vip, remove.index, remove.prefix_length)
        except KernelError:
            if there is not None:
                self._present.set_address(there)
            raise
        self._metrics.withdrawals.inc()
        log.info("withdraw", extra={"vip": str(remove.vip), "interface": remove.interface})

    async def _delete(self, index: IfIndex, name: str) -> None:
        gone = [there for there in self._present.all() if there.index == index]
        for there in gone:
            self._present.drop_address(index, there.address, there.prefix_length)
        try:
            await self._netlink.delete_link(index, name)
        except KernelError:
            for there in gone:
                self._present.set_address(there)
            raise
        self._present.drop_link(index)
        log.info("interface deleted", extra={"interface": name})
