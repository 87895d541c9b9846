"""Keeps the rules for strays in the kernel as the engine wants them. Blocking: to be used in a thread."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final, assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.flows import straychains
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.nfnetlink import Message
from lbnodeagent.flows.tables import Fellows, Located, Released, Routed, Settled, Stray, StrayRule
from purelb.addresses import IPAddress

_AT_ONCE: Final = 10_000
"""Connections in one batch, which must fit into the socket's buffer."""


class StrayRules:
    """In the tables that ``Rules`` makes."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._netfilter = netfilter
        self._routed: set[IPAddress] = set()
        self.fellows: dict[int, Fellows] = {}
        """Of each IP version, as wanted."""

    @property
    def watches(self) -> bool:
        """Whether anything may be held back."""
        return bool(self._routed) and any(fellows.servers for fellows in self.fellows.values())

    def again(self) -> None:
        """Have the VIPs in tables that were made anew; ``fellows`` are the caller's. Raises KernelError."""
        self._change(tuple(self._routed), are_routed=True)

    def apply(self, rule: StrayRule, hook: Sequence[Message] = ()) -> None:
        """Change that; of ``Fellows``, have this hook first. Raises KernelError."""
        match rule:
            case Routed(vips, is_routed):
                (self._routed.update if is_routed else self._routed.difference_update)(vips)
                self._change(vips, are_routed=is_routed)
            case Fellows(version, _, servers):
                before = self.fellows.get(version, Fellows(version)).servers
                self.fellows[version] = rule
                self._netfilter.commit([*hook, *straychains.fellows(rule, before - servers)])
            case Located(strays):
                for version in straychains.VERSIONS:
                    its = [(stray, to) for stray, to in strays if to.version == version]
                    for at in range(0, len(its), _AT_ONCE):
                        self._locate(version, its[at : at + _AT_ONCE])
            case Released(strays):
                for version in straychains.VERSIONS:
                    these = [stray for stray in strays if straychains.version_of(stray) == version]
                    for at in range(0, len(these), _AT_ONCE):
                        self._netfilter.commit(straychains.released(version, these[at : at + _AT_ONCE]))
            case Settled():
                self._settle()
            case _:
                assert_never(rule)

    def _settle(self) -> None:
        wanted = {server for fellows in self.fellows.values() for server in fellows.servers}
        parts = self._netfilter.ask_all(straychains.read_chains())
        gone = {server for part in parts for server in straychains.servers(part)} - wanted
        if gone:
            self._netfilter.commit(straychains.forget_servers(gone))
        for version in straychains.VERSIONS:
            parts = self._netfilter.ask_all(straychains.read_routed(version))
            left = {vip for part in parts for vip in straychains.addresses(part)} - self._routed
            if left:
                self._netfilter.commit(straychains.routed(tuple(left), are_routed=False))

    def held(self) -> dict[int, set[Stray]]:
        """The connections that are held back, by their IP version. Raises KernelError."""
        if not self.watches:
            return {}
        return {
            version: self._netfilter.strays(straychains.read_held(version), version)
            for version, fellows in self.fellows.items()
            if fellows.servers
        }

    def _change(self, vips: Sequence[IPAddress], *, are_routed: bool) -> None:
        for version in straychains.VERSIONS:
            its = [vip for vip in vips if vip.version == version]
            if its:
                self._netfilter.commit(straychains.routed(its, are_routed=are_routed))

    def _locate(self, version: int, strays: Sequence[tuple[Stray, IPAddress]]) -> None:
        try:
            self._netfilter.commit(straychains.located(version, strays))
        except KernelError as error:
            if error.code != errno.EEXIST:
                raise
        else:
            return
        # Another node served a connection of the same client and port before.
        there = self._netfilter.strays(straychains.read_located(version), version)
        old = [stray for stray, _ in strays if stray in there]
        self._netfilter.commit([*straychains.unlocated(version, old), *straychains.located(version, strays)])
