"""Our tables in the kernel: brings them up, changes them, and brings them up again when somebody flushed them.

Blocking; one at a time. It decides nothing, and remembers of flows only whose they are.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.flows import layout, nftables, straychains
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.nfnetlink import Message
from lbnodeagent.flows.strayrules import StrayRules
from lbnodeagent.flows.tables import (
    UDP,
    Account,
    Adopted,
    Await,
    Change,
    Disown,
    Fellows,
    Flow,
    Keep,
    KernelRule,
    Located,
    Released,
    Routed,
    Server,
    Settled,
    Stray,
)
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)

_AT_ONCE: Final = 12_000
"""Flows in one batch, which must fit into the socket's buffer."""


class Rules:
    """``begin`` goes on with what an earlier run left, if that is like ours; ``end`` leaves nothing."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._netfilter = netfilter
        self._strays = StrayRules(netfilter)
        self._kept: dict[IPAddress, Keep] = {}
        self._awaited: set[IPAddress] = set()
        self._nics: set[IfIndex] = set()

    def begin(self) -> frozenset[Adopted]:
        """Have our tables; what they pass on already. Raises KernelError where the kernel can't have such rules."""
        try:
            for question in layout.read_mark():
                self._netfilter.ask(question)
        except KernelError:
            self._make()
            return frozenset()
        self._netfilter.commit(layout.begin_again())
        return frozenset(one for part in self._netfilter.ask_all(layout.read_sets()) for one in layout.adopted(part))

    def _make(self) -> None:
        """Have empty tables."""
        self.end()
        self._nics.clear()
        self._netfilter.commit([*nftables.tables(), *straychains.tables(), *nftables.trial(), *straychains.trial()])
        self._netfilter.commit([*nftables.trial_over(), *straychains.trial_over(), *layout.mark()])

    def end(self) -> None:
        """Have no tables. Raises KernelError."""
        for batch in nftables.sweep():
            self._commit_if_there(batch)

    def packets(self) -> tuple[int, int]:
        """How many were passed on, and how many dropped as their flows were awaited. Raises KernelError."""
        with self._restored():
            passed_on, dropped = (self._packets(is_passed_on=what) for what in (True, False))
            return passed_on, dropped
        return 0, 0

    def _packets(self, *, is_passed_on: bool) -> int:
        return nftables.packets(self._netfilter.ask(nftables.read_counter(is_passed_on=is_passed_on))) or 0

    @property
    def watches(self) -> bool:
        """Whether any may be ``held``."""
        return self._strays.watches

    def held(self) -> dict[int, set[Stray]]:
        """The connections to routed VIPs that are held back, by their IP version. Raises KernelError."""
        with self._restored():
            return self._strays.held()
        return {}

    def packets_of(self, account: Account) -> int:
        """How many of these flows were passed on, as far as the kernel still knows. Raises KernelError."""
        try:
            answer = self._netfilter.ask(nftables.read_its_counter(account.vip, account.server))
        except KernelError as error:
            if error.code != errno.ENOENT:
                raise
            return 0
        return nftables.packets(answer) or 0

    def apply(self, rule: KernelRule) -> None:
        """Change what is kept and awaited. Raises KernelError."""
        with self._restored():
            self._apply(rule)

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Where that finds no rules, make them anew: all but the flows, which are told again in some time."""
        try:
            yield
        except KernelError as error:
            if error.code != errno.ENOENT:
                raise
            log.warning("rules for kept flows were removed by somebody else, and are made anew")
        else:
            return
        self._make()
        for keep in list(self._kept.values()):
            try:
                self._keep(keep)
            except KernelError as refusal:  # that of one VIP ends no other's
                log.warning("flows are kept no longer", extra={"vip": str(keep.vip), "error": str(refusal)})
        self._await(Await(tuple(self._awaited), True))
        for fellows in list(self._strays.fellows.values()):
            self._apply(fellows)
        self._strays.again()

    def _apply(self, rule: KernelRule) -> None:
        match rule:
            case Keep():
                before = self._kept.pop(rule.vip, None)
                if rule.servers:
                    self._keep(rule)
                elif before is not None:
                    self._netfilter.commit(nftables.forget_vip(rule.vip))
                self._drop_sets(before, rule)
            case Change(vip):
                if vip in self._kept:  # else the kernel, which refused that, has no set for it
                    self._change(rule)
            case Await(vips, is_awaited):
                (self._awaited.update if is_awaited else self._awaited.difference_update)(vips)
                self._await(rule)
            case Disown(adopted):
                for vip, server in adopted:
                    if vip not in self._kept:
                        self._commit_if_there(nftables.forget_vip(vip))
                    self._commit_if_there(nftables.forget_set(vip, Server("", server)))
            case Fellows(_, index):
                self._strays.apply(rule, self._hook(index))
                self._nics.update(() if index is None else (index,))
            case Routed() | Located() | Released() | Settled():
                self._strays.apply(rule)
            case _:
                assert_never(rule)

    def _keep(self, keep: Keep) -> None:
        self._kept[keep.vip] = keep
        try:
            self._put(keep)
        except KernelError as error:
            if error.code != errno.ENOENT:
                del self._kept[keep.vip]
            raise

    def _put(self, keep: Keep) -> None:
        self._netfilter.commit([*self._hook(keep.index), *nftables.vip(keep.vip, keep.servers, keep.index)])
        self._nics.add(keep.index)

    def _hook(self, index: IfIndex | None) -> list[Message]:
        """Look at what comes in there, if nothing does yet."""
        if index is None or index in self._nics:
            return []
        try:
            return nftables.nic(index, socket.if_indextoname(index))
        except OSError as error:
            raise KernelError("nf_tables", errno.ENODEV) from error

    def _drop_sets(self, before: Keep | None, after: Keep) -> None:
        """Those of the nodes that serve no longer."""
        still = {server.address for server in after.servers}
        for server in before.servers if before is not None else ():
            if server.address not in still:
                self._commit_if_there(nftables.forget_set(after.vip, server))

    def _change(self, change: Change) -> None:
        begun_here = self._begun_here(change)
        if change.is_renewal:
            # From a client's port that an old one had, whose end nobody saw. Never at first: what this node has of a
            # port then may be just such an old one. Nor of datagrams: those that came before they were told of look so.
            begun_here |= {flow for flow in self._netfilter.live_flows((change.vip,))[change.vip] if flow[0] != UDP}
        begun = [flow for flow in change.begun if flow not in begun_here] if begun_here else change.begun
        messages: list[Message] = []
        if change.is_first and not change.is_renewal:
            messages += nftables.flush(change.vip, change.server)
        ended = change.ended
        if change.is_renewal:
            # What nobody tells of any more has ended while nobody could say so, and goes as no packet comes of it. To
            # empty the set meanwhile would have packets of all others reset.
            ended = (*ended, *begun_here.intersection(change.begun))
        messages += nftables.remove_flows(change.vip, change.server, ended)
        put = nftables.renew_flows if change.is_renewal else nftables.add_flows
        for at in range(0, max(len(begun), 1), _AT_ONCE):
            messages += put(change.vip, change.server, begun[at : at + _AT_ONCE])
            if messages:
                self._netfilter.commit(messages)
            messages = []
        # And those that began meanwhile.
        if later := (self._begun_here(change) - begun_here).intersection(begun):
            self._netfilter.commit(nftables.remove_flows(change.vip, change.server, tuple(later)))

        self._forget_datagrams(change.vip, begun)

    def _forget_datagrams(self, vip: IPAddress, begun: Sequence[Flow]) -> None:
        """Those that came before they were told of went to other pods here: of them no third node is to be told."""
        if its := [flow for flow in begun if flow[0] == UDP]:
            own = self._netfilter.live_flows((vip,))[vip]
            self._netfilter.forget(vip, set(own).intersection(its))

    def _begun_here(self, change: Change) -> set[Flow]:
        """The connections of its VIP that began here since that came."""
        if not change.begun:
            return set()
        parts = self._netfilter.ask_all(nftables.read_begun(change.vip.version))
        return {flow for part in parts for flow in nftables.begun_flows(part, change.vip)}

    def _await(self, rule: Await) -> None:
        for version in (4, 6):
            vips = [vip for vip in rule.vips if vip.version == version]
            if vips:
                self._netfilter.commit(nftables.await_flows(vips, is_awaited=rule.is_awaited))

    def _commit_if_there(self, messages: list[Message]) -> None:
        try:
            self._netfilter.commit(messages)
        except KernelError as error:
            if error.code != errno.ENOENT:
                raise
