"""Carries out planned actions. Returns what came of each. It decides nothing, and knows nothing of what is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel import order
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.tables import (
    Action,
    AddRoute,
    CreateDummy,
    DeleteDummy,
    DeleteRoute,
    Done,
    IfIndex,
    Outcome,
    Place,
    Refused,
    Remove,
    SetUp,
)
from purelb.addresses import IPNetwork
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)


class Executor:
    """Applies actions to the kernel."""

    def __init__(self, netlink: Netlink, metrics: AgentMetrics) -> None:
        self._netlink = netlink
        self._metrics = metrics

    async def execute(self, actions: Sequence[Action]) -> list[Outcome]:
        """All actions in their order; one that fails doesn't keep the others from being tried.

        Addresses that follow each other go in one request, and nothing is waited for.
        """
        outcomes: list[Outcome] = []
        for is_address, group in groupby(actions, key=lambda action: isinstance(action, Place | Remove)):
            if is_address:
                outcomes += self._change([action for action in group if isinstance(action, Place | Remove)])
                continue
            for action in group:
                if isinstance(action, Place | Remove):
                    continue
                try:
                    self._execute(action)
                except KernelError as error:
                    outcomes.append(self._refused(action, error))
                else:
                    outcomes.append(Done(action))
                await asyncio.sleep(0)  # there may be many, and the gossip has its turn too
        return outcomes

    def _change(self, changes: Sequence[Place | Remove]) -> list[Outcome]:
        """Many addresses at once."""
        refused = self._dangers(changes)
        todo = [change for change in changes if change not in refused]
        results = iter(self._netlink.change(todo))
        outcomes: list[Outcome] = []
        for change in changes:
            result = refused[change] if change in refused else next(results)
            if isinstance(result, KernelError):
                outcomes.append(self._refused(change, result))
                if isinstance(change, Place) and change.is_renewal:
                    self._metrics.renewal_errors.inc()
            else:
                outcomes.append(Done(change, result))
                self._tell(change)
        return outcomes

    def _dangers(self, changes: Sequence[Place | Remove]) -> dict[Place | Remove, KernelError]:
        """Why changes would harm other addresses: where the node's own hangs on ours, that takes a setting."""
        failed: dict[IfIndex, KernelError] = {}
        for index in order.to_promote_on(changes):
            try:
                self._netlink.promote_secondaries(index)
            except KernelError as error:
                failed[index] = error
        harmful = (change for change in changes if isinstance(change, Remove) and not change.keeps_order)
        return {change: failed[change.index] for change in harmful if change.index in failed}

    def _tell(self, change: Place | Remove) -> None:
        match change:
            case Place(is_renewal=True):
                self._metrics.renewals.inc()
            case Place(vip, spot):
                self._metrics.additions.inc()
                about = {"vip": str(vip), "interface": spot.interface, "prefix": spot.prefix_length}
                log.info("announce", extra=about)
            case Remove(vip, _, interface):
                self._metrics.withdrawals.inc()
                log.info("withdraw", extra={"vip": str(vip), "interface": interface})
            case _:
                assert_never(change)

    def _execute(self, action: CreateDummy | SetUp | DeleteDummy | AddRoute | DeleteRoute) -> None:
        match action:
            case CreateDummy(name):
                kind = self._netlink.create_dummy(name)
                if kind == "dummy":
                    log.info("interface created", extra={"interface": name, "kind": kind})
                else:
                    log.warning(
                        "interface created of another kind, because this kernel has no dummy interfaces",
                        extra={"interface": name, "kind": kind},
                    )
            case SetUp(index, name):
                self._netlink.set_up(index, name)
                log.info("interface set up", extra={"interface": name})
            case DeleteDummy(index, name):
                self._netlink.delete_link(index, name)
                log.info("interface deleted", extra={"interface": name})
            case AddRoute(index, network, expires):
                self._add_route(index, network, expires)
            case DeleteRoute(index, network):
                self._netlink.delete_marked_route(network, index)
            case _:
                assert_never(action)

    def _add_route(self, index: IfIndex, network: IPNetwork, expires: int) -> None:
        if network.version == 4:
            # Else the kernel takes all VIPs of the aggregate away together with the first one.
            self._netlink.promote_secondaries(index)
        self._netlink.add_marked_route(network, index, expires)

    def _refused(self, action: Action, error: KernelError) -> Refused:
        self._metrics.kernel_errors.labels(_subject(action)).inc()
        log.warning("refused by the kernel", extra={"action": repr(action), "error": str(error)})
        return Refused(action, str(error))


def _subject(action: Action) -> str:
    """What an action is about, as the metric's label has it."""
    match action:
        case Place() | Remove():
            return "address"
        case AddRoute() | DeleteRoute():
            return "route"
        case CreateDummy() | SetUp() | DeleteDummy():
            return "interface"
        case _:
            assert_never(action)
