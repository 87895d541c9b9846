"""Sees which connections the kernel holds back, asks other nodes for them, and answers what they ask.

Owns the threads' work and the order of it; decides nothing. The data plane's loop never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final, TypeAlias, assert_never

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.rules import Rules
from lbnodeagent.flows.tables import Ask, Find, Stray
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayMessage

log = logging.getLogger(__name__)

Astray: TypeAlias = Callable[[int, Sequence[Stray]], None]

PAUSE: Final = 0.1
"""Seconds between two looks: TCP sends again after 0.2 s what was held back. A look at none takes a tenth of a
millisecond; after one that took longer there is a pause for twice that time."""
UNUSED: Final = 1.0
"""Likewise while there is nothing to look at, and at most."""
FRUITLESS: Final = 3
"""Looks after which, if nobody served any of what they showed, each pause is twice as long as the one before: somebody
may be sending packets of connections that don't exist.
"""
PENDING_MOST: Final = 32
"""Messages that wait for one node."""
FINDING_MOST: Final = 1 << 18
"""Connections that are to be looked for."""


class StrayWatch:
    """``run`` until cancelled; ``put`` what is to be done."""

    def __init__(
        self, node: str, peers: Peers, rules: Rules, conntrack: Netfilter, at_rules: Executor, at_conntrack: Executor
    ) -> None:
        self._node = node
        self._peers = peers
        self._rules = rules
        self._conntrack = conntrack
        self._at_rules = at_rules
        self._at_conntrack = at_conntrack
        self._seen: dict[int, set[Stray]] = {}
        self._fruitless = 0
        self._to_do: asyncio.Queue[Ask | Find] = asyncio.Queue()
        self._finding = 0
        """The connections that are to be looked for, and one for each question."""
        self._pending: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}

    def put(self, output: Ask | Find) -> None:
        """Do this; what is too much isn't done, and who waits for it doesn't for long."""
        if isinstance(output, Find):
            if self._finding + len(output.strays) >= FINDING_MOST:
                log.warning("a node isn't answered: too many ask", extra={"node": output.to})
                return
            self._finding += len(output.strays) + 1
        self._to_do.put_nowait(output)

    def located(self) -> None:
        """Somebody serves something of what was held back."""
        self._fruitless = 0

    async def run(self, astray: Astray) -> None:
        """``astray`` is told of the IP version and the connections that weren't held back before."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(astray))
            while True:
                match await self._to_do.get():
                    case Ask(nodes, question):
                        for node in nodes:
                            self._send(tasks, node, question)
                    case Find() as find:
                        self._finding -= len(find.strays) + 1
                        answer = await self._answer(find)
                        if answer is not None:
                            self._send(tasks, find.to, answer)
                    case other:
                        assert_never(other)

    async def _watch(self, astray: Astray) -> None:
        loop, is_well = asyncio.get_running_loop(), True
        while True:
            began = loop.time()
            try:
                news = await loop.run_in_executor(self._at_rules, self._news)
            except KernelError as error:
                if is_well:
                    log.warning("what is held back could not be read", extra={"error": str(error)})
                is_well = False
            else:
                is_well = True
                self._fruitless += bool(news)
                for version, strays in news.items():
                    astray(version, strays)
            pause = pause_after(self._fruitless) if self._rules.watches else UNUSED
            await asyncio.sleep(max(pause, 2 * (loop.time() - began)))

    def _news(self) -> dict[int, list[Stray]]:
        held = self._rules.held()
        news = {version: list(strays - self._seen.get(version, set())) for version, strays in held.items()}
        self._seen = held
        return {version: strays for version, strays in news.items() if strays}

    async def _answer(self, find: Find) -> StrayAnswer | None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._at_conntrack, self._conntrack.find, find.strays)
        except KernelError as error:
            log.warning("conntrack could not be asked", extra={"error": str(error)})
            return None
        return StrayAnswer(self._node, find.number, find.address, tuple(found))

    def _send(self, tasks: asyncio.TaskGroup, node: str, message: StrayMessage) -> None:
        if self._pending[node] < PENDING_MOST:
            self._pending[node] += 1
            tasks.create_task(self._send_in_turn(node, message))

    async def _send_in_turn(self, node: str, message: StrayMessage) -> None:
        """One after the other, as a message that overtakes many others doesn't count."""
        try:
            async with self._turns.setdefault(node, asyncio.Lock()):
                await self._peers.send_strays(node, message)
        finally:
            self._pending[node] -= 1
            if not self._pending[node]:
                del self._pending[node]
                self._turns.pop(node, None)


def pause_after(fruitless: int) -> float:
    """Seconds until the next look, when nobody served any of what so many looks showed."""
    return min(PAUSE * 2.0 ** min(max(0, fruitless - FRUITLESS), 10), UNUSED)
