"""Does what the engine of kept flows says: rules in the kernel, looks at its conntrack, messages to peers.

Owns the threads' work and the order of it; decides nothing. The data plane's loop never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from ipaddress import IPv4Address
from typing import Final, ParamSpec, TypeVar, assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.flows import translation
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.rules import Rules
from lbnodeagent.flows.straywatch import Astray, StrayWatch
from lbnodeagent.flows.tables import (
    Account,
    Adopted,
    Ask,
    Await,
    Change,
    Disown,
    Fellows,
    Find,
    FlowsOutput,
    Keep,
    Located,
    Look,
    OfferEnded,
    Released,
    Routed,
    Rule,
    Settled,
)
from lbnodeagent.flows.teller import Teller
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.tables import KeepsFlows, KeptFlows, Stage
from purelb.addresses import IPAddress
from purelb.flowmetrics import FlowMetrics

log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

PATIENCE: Final = 0.05
"""Seconds for which an address that is to be placed waits for rules."""
COUNT: Final = 10.0
"""Seconds between two readings of how many packets were passed on."""
WAITING_MOST: Final = 1 << 19
"""Flows in changes that wait for the kernel; what is dropped then is told again in some minutes."""
SEE: Final = 30.0
"""Seconds between two looks who translates Services' addresses; what shows at two in a row is so."""
_RULES: Final = (
    "have a kernel with nf_tables' family netdev, fwd and dynamic sets (modprobe nft_fwd_netdev on the node tries it)"
)
_CONNTRACK: Final = "have a kernel that tells of its conntrack (modprobe nf_conntrack_netlink on the node tries it)"
_OFF: Final = "set PURELB_KEEP_FLOWS=false: kubectl set env ds/lbnodeagent -n purelb PURELB_KEEP_FLOWS=false"
_STAGES: Final[Mapping[Stage, str]] = {
    "begun": "flows are passed on",
    "ended": "flows that were passed on have ended",
    "lost": "kept flows are lost",
}
_NOBODY: Final = IPv4Address("0.0.0.0")


class FlowKeeper:
    """``begin``, ``run`` until cancelled, ``end``; ``put`` what is to be done."""

    def __init__(
        self,
        node: str,
        peers: Peers,
        rules: Netfilter,
        conntrack: Netfilter,
        at_rules: Executor,
        at_conntrack: Executor,
        metrics: FlowMetrics,
    ) -> None:
        """Two sockets, each with a thread of its own: a long look doesn't keep rules waiting."""
        self.metrics = metrics
        self.adopted: frozenset[Adopted] = frozenset()
        self._netfilter = rules
        self._rules = Rules(rules)
        self._conntrack = conntrack
        self._at_rules = at_rules
        self._at_conntrack = at_conntrack
        self._strays = StrayWatch(node, peers, self._rules, conntrack, at_rules, at_conntrack)
        self._teller = Teller(node, peers, conntrack, at_conntrack)
        self._to_apply: asyncio.Queue[Rule] = asyncio.Queue()
        self._waiting = 0
        """The flows in these, and one for each."""
        self._is_idle = asyncio.Event()
        self._to_look: asyncio.Queue[Look | OfferEnded] = asyncio.Queue()

    async def begin(self) -> KeepsFlows:
        """Have our tables, ``adopted`` with what they pass on already; whether this kernel can keep flows."""
        remedy = _RULES
        try:
            self.adopted = await self._in(self._at_rules, self._rules.begin)
            remedy = _CONNTRACK
            await self._in(self._at_conntrack, self._conntrack.live_flows, (_NOBODY,))
        except KernelError as error:
            self.metrics.show_supported(False)
            return KeepsFlows(f"the kernel refuses what that takes: {error}", f"{remedy}, or {_OFF}")
        self.metrics.show_supported(True)
        return KeepsFlows()

    async def end(self) -> None:
        """Leave no rules behind."""
        try:
            await self._in(self._at_rules, self._rules.end)
        except KernelError as error:
            log.warning("rules for kept flows are left behind", extra={"error": str(error)})

    def put(self, output: FlowsOutput) -> None:
        """Do this, after what was put before it."""
        match output:
            case Look() | OfferEnded():
                # What is under way of an offer that has ended would else be remembered as told.
                if isinstance(output, OfferEnded):
                    self._teller.revoke(output.vip)
                self._to_look.put_nowait(output)
            case Ask() | Find():
                self._strays.put(output)
            case Change() if self._waiting + _size(output) > WAITING_MOST:
                log.warning("flows are not passed on: too many wait", extra={"vip": str(output.vip)})
            case (
                Keep() | Change() | Await() | Account() | Disown() | Fellows() | Routed() | Located() | Released()
                | Settled()
            ):  # fmt: skip
                if isinstance(output, Located):
                    self._strays.located()
                self._waiting += _size(output)
                self._to_apply.put_nowait(output)
            case _:
                assert_never(output)

    async def applied(self) -> None:
        """Wait until the kernel has the rules that were put, but not for long."""
        if self._to_apply.empty() and self._is_idle.is_set():
            return
        self._is_idle.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._is_idle.wait()

    async def run(
        self,
        looked: Callable[[Mapping[IPAddress, int]], None],
        astray: Astray,
        report: Callable[[KeptFlows | KeepsFlows], None],
    ) -> None:
        """Do what was put; ``looked`` is told what came of each look, ``astray`` what the kernel holds back, ``report``
        what became of moves' flows, and whether there are any to keep.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._apply(report))
            tasks.create_task(self._look(looked))
            tasks.create_task(self._count())
            tasks.create_task(self._strays.run(astray))
            tasks.create_task(self._see_translation(report))

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT)
            with contextlib.suppress(KernelError):  # it is said at the next change of them
                self.metrics.show_packets(*await self._in(self._at_rules, self._rules.packets))

    async def _see_translation(self, report: Callable[[KeepsFlows], None]) -> None:
        """Say when somebody translates past conntrack, or no longer: what shows it comes and goes as a node starts."""
        told = before = ""
        while True:
            await asyncio.sleep(SEE)
            who = await self._in(self._at_rules, translation.look, self._netfilter)
            if who == before != told:
                told = who
                self.metrics.show_supported(not who)
                report(KeepsFlows(who, _OFF if who else ""))
            before = who

    @staticmethod
    async def _in(thread: Executor, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """Do it there: what was cancelled while a thread was at it is done before what comes next."""
        return await asyncio.get_running_loop().run_in_executor(thread, partial(work, *given, **named))

    async def _apply(self, report: Callable[[KeptFlows], None]) -> None:
        while True:
            if self._to_apply.empty():
                self._is_idle.set()
            rule = await self._to_apply.get()
            self._waiting -= _size(rule)
            self._is_idle.clear()
            try:
                if isinstance(rule, Account):
                    self._tell_of(rule, await self._in(self._at_rules, self._rules.packets_of, rule), report)
                else:
                    await self._in(self._at_rules, self._rules.apply, rule)
            except KernelError as error:
                log.warning("rules for kept flows were refused", extra={"error": str(error)})

    def _tell_of(self, account: Account, packets: int, report: Callable[[KeptFlows], None]) -> None:
        kept = KeptFlows(
            account.vip, account.server.node, account.stage, account.flows, round(account.seconds, 1), packets
        )
        about = {"vip": str(kept.vip), "node": kept.server, "flows": kept.flows, "seconds": kept.seconds}
        log.info(_STAGES[kept.stage], extra={**about, "packets": packets})
        if kept.stage == "ended":
            self.metrics.show_end(kept.seconds)
        report(kept)

    async def _look(self, looked: Callable[[Mapping[IPAddress, int]], None]) -> None:
        while True:
            match await self._to_look.get():
                case OfferEnded(vip):
                    self._teller.ended(vip)
                case Look(offers):
                    looked(await self._teller.look(offers))


def _size(rule: Rule) -> int:
    match rule:
        case Change(begun=begun, ended=ended):
            return 1 + len(begun) + len(ended)
        case Located(strays) | Released(strays):
            return 1 + len(strays)
        case _:
            return 1
