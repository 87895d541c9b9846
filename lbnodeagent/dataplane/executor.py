"""Carries out planned actions. Returns what did not work. It decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Action, CreateDummy, DeleteDummy, IfIndex, Place, PresentAddress, Remove, SetUp
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that the kernel refused."""

    action: Action
    reason: str


class Executor:
    """Applies actions to the kernel, and what came of them to ``present``, without waiting for its notification."""

    def __init__(self, netlink: Netlink, present: Present, metrics: AgentMetrics) -> None:
        self._netlink = netlink
        self._present = present
        self._metrics = metrics

    async def execute(self, actions: Iterable[Action]) -> list[Failure]:
        """All actions in their order; one that fails doesn't keep the others from being tried."""
        failures: list[Failure] = []
        for is_address, group in groupby(actions, key=lambda action: isinstance(action, Place | Remove)):
            if is_address:
                failures += self._change([action for action in group if isinstance(action, Place | Remove)])
                continue
            for action in group:
                if isinstance(action, Place | Remove):
                    continue
                try:
                    await self._execute(action)
                except KernelError as error:
                    failures.append(_failure(action, error))
        return failures

    def _change(self, changes: Sequence[Place | Remove]) -> list[Failure]:
        """Many addresses at once."""
        failures: list[Failure] = []
        todo = [change for change in changes if self._is_safe(change, failures)]
        # Forgotten first: the kernel's notification can overtake its answer, and would look like somebody else's doing.
        before = [
            self._present.drop_address(change.index, change.vip, change.prefix_length)
            if isinstance(change, Remove)
            else None
            for change in todo
        ]
        for change, there, result in zip(todo, before, self._netlink.change(todo), strict=True):
            if isinstance(result, KernelError):
                failures.append(_failure(change, result))
                if isinstance(change, Place) and change.is_renewal:
                    self._metrics.renewal_errors.inc()
                if there is not None:
                    self._present.set_address(there)
            elif isinstance(change, Remove):
                self._metrics.withdrawals.inc()
                log.info("withdraw", extra={"vip": str(change.vip), "interface": change.interface})
            elif result is not None:
                self._placed(change, result)
        return failures

    def _is_safe(self, change: Place | Remove, failures: list[Failure]) -> bool:
        """Whether a change leaves other addresses alone: where the node's own hangs on ours, that takes a setting."""
        if isinstance(change, Remove) and not change.keeps_order:
            try:
                self._netlink.promote_secondaries(change.index)
            except KernelError as error:
                failures.append(_failure(change, error))
                return False
        return True

    def _placed(self, place: Place, there: PresentAddress) -> None:
        vip, spot = place.vip, place.spot
        self._present.set_address(there)
        if place.is_renewal:
            self._metrics.renewals.inc()
            return
        self._metrics.additions.inc()
        log.info("announce", extra={"vip": str(vip), "interface": spot.interface, "prefix": spot.prefix_length})

    async def _execute(self, action: CreateDummy | SetUp | DeleteDummy) -> None:
        match action:
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


def _failure(action: Action, error: KernelError) -> Failure:
    log.warning("refused by the kernel", extra={"action": repr(action), "error": str(error)})
    return Failure(action, str(error))
