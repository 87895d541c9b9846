"""What the control plane tells the data plane: takes it from the mailbox, and brings each thing where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.changes import Changes
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import (
    Begun,
    Configured,
    KeysKnown,
    NodeExcluded,
    PeersKnown,
    Synced,
    Told,
    ToldKey,
    VipChanged,
)
from purelb.addresses import IPAddress
from purelb.nodeagents import NodeAgentConfig


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what follows."""

    configured: Callable[[NodeAgentConfig], None]
    """This configuration applies."""
    look_at: Callable[[Iterable[IPAddress]], None]
    """These VIPs are to be looked at."""
    look_at_all: Callable[[], None]
    """All are."""
    wake: Callable[[], None]
    """There are reports to be sent."""


class Inbox:
    """``repeats``: what is done to tell a control plane that began anew all that was told before."""

    def __init__(
        self,
        inbox: Mailbox[ToldKey, Told],
        peers: Peers,
        candidacy: Candidacy,
        wants: WantedVips,
        news: Changes,
        repeats: Iterable[Callable[[], None]],
        listener: Listener,
    ) -> None:
        self._inbox = inbox
        self._peers = peers
        self._candidacy = candidacy
        self._wants = wants
        self._news = news
        self._repeats = tuple(repeats)
        self._listener = listener

    async def follow(self) -> None:
        """Hear what is told, until cancelled."""
        self._inbox.open()
        try:
            while True:
                for told in (await self._inbox.take()).values():
                    self._hear(told)
        finally:
            self._inbox.close()

    def _hear(self, told: Told) -> None:
        match told:
            case Begun():
                self._wants.begin_again()
                for repeat in self._repeats:
                    repeat()
                self._listener.wake()
            case VipChanged(vip, wanted):
                self._wants.change(vip, wanted)
                self._listener.look_at((vip,))
            case Configured(config):
                self._listener.configured(config)
            case KeysKnown(keys):
                self._peers.set_keys(keys)
            case PeersKnown(addresses):
                self._peers.set_addresses(addresses)
                self._candidacy.peers_known = True
                self._news.candidacy_changed()
            case NodeExcluded(is_excluded):
                is_news = is_excluded != self._candidacy.is_excluded
                self._candidacy.is_excluded = is_excluded
                self._news.candidacy_changed()
                if is_news:
                    self._listener.look_at_all()
            case Synced():
                self._candidacy.is_synced = True
                self._wants.synced()
                self._news.candidacy_changed()
                self._listener.look_at_all()
            case _:
                assert_never(told)
