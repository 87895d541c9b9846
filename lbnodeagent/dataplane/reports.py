"""What the data plane reports to the control plane: the core's words, with what has to be looked up on the node first.

Owns the outbox, and what was told already of things that change without the core: how the kernel answers ARP, the way
of answers, connections that are kept. Who answers for a VIP, and who took an address away, takes a look at the node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from lbnodeagent.dataplane.outputs import RemovedOften
from lbnodeagent.dataplane.rivals import Rivals
from lbnodeagent.kernel.addressmanagers import advice, suspects
from lbnodeagent.kernel.arp import answering_for_others
from lbnodeagent.kernel.nodesockets import read_process, read_sockets
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Peer
from lbnodeagent.tables import (
    Conflict,
    KeepsFlows,
    KeptFlows,
    Report,
    ReportKey,
    StrayAnswers,
    Surroundings,
    Wiped,
    report_key,
)
from purelb.returnpath import ReturnPathTrouble

STRAY_LOOK: Final = 10.0
"""Seconds between two looks at the kernel's settings for ARP."""

Reported: TypeAlias = Report | RemovedOften


class Reports:
    """To ``outbox``."""

    def __init__(self, outbox: Mailbox[ReportKey, Report], rivals: Rivals) -> None:
        self._outbox = outbox
        self._rivals = rivals
        self._pods: frozenset[Peer] = frozenset()
        self._beside_ipvs: tuple[str, ...] = ()
        self._told_stray: StrayAnswers | None = None
        self._told_returns = ReturnPathTrouble(())
        self._keeps_flows = KeepsFlows()
        self._unnamed: list[Conflict] = []
        self._identify = asyncio.Event()

    def begin_again(self) -> None:
        """Who was told isn't there any more."""
        self._told_stray, self._told_returns = None, ReturnPathTrouble(())
        self.of_flows(self._keeps_flows)

    def configured(self) -> None:
        """Whether answers have a way is said anew."""
        self._told_returns = ReturnPathTrouble(())

    def pods_are(self, pods: frozenset[Peer]) -> None:
        """Where agents run, by the API server."""
        self._pods = pods

    def put(self, said: Iterable[Reported]) -> None:
        """Report these."""
        self._outbox.put_all({report_key(one): one for one in map(self._looked_up, said) if one is not None})

    def of_returns(self, trouble: ReturnPathTrouble) -> None:
        """Why answers don't leave as they should, if that is news."""
        if trouble != self._told_returns:
            self._told_returns = trouble
            self._outbox.put(report_key(trouble), trouble)

    def of_flows(self, report: KeptFlows | KeepsFlows) -> None:
        """What becomes of connections that outlive a move."""
        if isinstance(report, KeepsFlows):
            self._keeps_flows = report
        self._outbox.put(report_key(report), report)

    async def name_rivals(self, clock: Callable[[], float]) -> None:
        """Say whose MAC it is that answers for a VIP; without end."""
        while True:
            await self._identify.wait()
            self._identify.clear()
            conflicts, self._unnamed = self._unnamed, []
            reports = await self._rivals.named(conflicts, self._pods, clock())
            self._outbox.put_all({report_key(report): report for report in reports})

    async def look_for_stray_answers(self) -> None:
        """The kernel's settings change without a word; without end."""
        while True:
            stray = StrayAnswers(answering_for_others(self._beside_ipvs))
            if stray != self._told_stray:
                self._told_stray = stray
                self._outbox.put(report_key(stray), stray)
            await asyncio.sleep(STRAY_LOOK)

    def _looked_up(self, said: Reported) -> Report | None:
        match said:
            case RemovedOften(vip, interface, times, by, is_nodes_own):
                found = suspects(read_sockets(), by, read_process)
                return Wiped(vip, interface, times, advice(interface, found), is_nodes_own)
            case Conflict(node=""):
                self._unnamed.append(said)
                self._identify.set()
                return None
            case Surroundings():
                self._beside_ipvs = said.beside_ipvs
                return said
            case _:
                return said
