"""The other agents: runs the gossip, keeps joining who is missing, and yields what happens as values.

What follows from that is the data plane's. It owns sockets, tasks and the clock of the gossip.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Set
from typing import Final

from lbnodeagent.gossip.correspondence import Correspondence
from lbnodeagent.gossip.envelope import LIFE_SIZE, Life
from lbnodeagent.gossip.events import (
    CutOff,
    Deaf,
    GossipEnded,
    GossipStarted,
    KeyRetired,
    PeerAlive,
    PeerEvent,
    PeerGone,
)
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.hearing import Hearing
from lbnodeagent.gossip.joining import Joining
from lbnodeagent.gossip.keyrotation import Rotation, fingerprint, mark
from lbnodeagent.gossip.meta import HandoverMessage, Meta
from lbnodeagent.gossip.straymessage import StrayMessage
from lbnodeagent.ticking import tick
from memberlist import (
    Config,
    Delegate,
    Event,
    JoinSealed,
    Keyring,
    Member,
    MemberFailed,
    MemberJoined,
    Memberlist,
    MemberSuspected,
    MemberUpdated,
    State,
    StreamFailed,
    UnknownMember,
)

log = logging.getLogger(__name__)

LOOK: Final = 0.2
"""Seconds between two looks for peers that could be joined, unless there is haste."""
REST: Final = 30.0
"""Seconds without such a look while everybody is there; whatever changes that has it made at once."""
TURN: Final = 2.0
"""Likewise while the keys are being changed, as some of that is a matter of time."""
REBIND: Final = 0.5
"""Seconds until the gossip port is tried again when it's taken (by an agent that is just stopping)."""
LISTEN: Final = 0.25
"""Seconds between two looks whether anybody answers, or a little less; each suspicion is one too."""
UNREAD: Final = 1024
"""Hand-over messages that wait to be read; more are dropped, who sent them asks again."""


class RoundTrips(Delegate):
    """Tells how long each direct probe took until its answer, in seconds."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe

    def ping_completed(self, member: Member, seconds: float, payload: bytes) -> None:
        self._observe(seconds)


class Peers:
    """This node's part in the gossip. ``run`` it; it begins when ``set_keys`` was called. ``events`` tells of it."""

    def __init__(
        self, node: str, host: str, port: int, config: Config, round_trip: Callable[[float], None] | None = None
    ) -> None:
        """``round_trip`` is told of each direct probe that was answered, and after how many seconds."""
        self._node = node
        self._host = host
        self._port = port
        self._config = config
        self._delegate = None if round_trip is None else RoundTrips(round_trip)
        self._counted: tuple[Counter[str], Memberlist | None] = (Counter(), None)
        """By members that ended, and the one that runs: changed as one, as they are read on another thread."""
        self._rotation: Rotation | None = None
        self._key: Keyring | None = None
        self._has_key = asyncio.Event()
        self.ring: tuple[bytes, ...] = ()
        """The keys in use: the first one seals, all open."""
        self._correspondence = Correspondence(node, Life(os.urandom(LIFE_SIZE)))
        self._said = Meta()
        self._meta = self._correspondence.meta(self._said)  # none would make it a candidate, as PureLB's own agents are
        self._gossip: Memberlist | None = None
        self._alive: set[str] = set()
        self._hearing = Hearing(config.probe_interval)
        self._joining = Joining(random.Random())
        self._deaf_to: set[str] = set()
        """Where agents are whose answers no key of ours opens."""
        self._sealed: set[str] = set()
        """Addresses whose answer to the try under way was like that."""
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        """Who is there, who should be, or how a try ended."""
        self._events: deque[PeerEvent] = deque()
        self._happened = asyncio.Event()

    @property
    def refused(self) -> int:
        """Messages of peers that didn't count so far."""
        return self._correspondence.refused

    @property
    def counters(self) -> Mapping[str, int]:
        """What the gossip has counted since this agent started, by memberlist's names; may be read on any thread."""
        earlier, gossip = self._counted
        return earlier if gossip is None else earlier + _counted_by(gossip)

    @property
    def trouble(self) -> str | None:
        """Why this node's view of its peers is wrong, in one sentence; None: nothing speaks for that."""
        if self._alive or not self._deaf_to:
            return None
        where = ", ".join(sorted(self._deaf_to)[:3])
        return f"the agents at {where} have another gossip key than this one, which can't hear them"

    @property
    def by_detour(self) -> frozenset[str]:
        """Nodes that are heard, but to or from which no packet passes; any thread may ask."""
        return frozenset() if self._gossip is None else self._gossip.by_detour()

    def wake_within(self, now: float, seconds: float) -> float:
        """When to do what is due within so many seconds: the last time in which the gossip wakes us anyway, if any."""
        latest = now + seconds
        turn = None if self._gossip is None else self._gossip.turn_until(latest)
        return turn if turn is not None and turn > now else latest

    @property
    def is_running(self) -> bool:
        """Whether peers can be heard."""
        return self._gossip is not None

    async def events(self) -> AsyncIterator[PeerEvent]:
        """What happens, in its order; to be followed by one only."""
        while True:
            await self._happened.wait()
            self._happened.clear()
            while self._events:
                yield self._events.popleft()

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """The gossip's keys, of 16, 24 or 32 bytes: the first one is to seal, all open. May change while it runs."""
        now = asyncio.get_running_loop().time()
        if self._rotation is None:
            self._rotation = Rotation(keys, now)
        else:
            self._rotation.seen(keys, now)
        self._rotate(self._rotation)
        self._has_key.set()
        self._changed.set()

    def _rotate(self, rotation: Rotation) -> None:
        """Use the keys that are to be used now, and say so."""
        ring = rotation.ring(asyncio.get_running_loop().time(), self._correspondence.others)
        if ring == self.ring:
            return
        self.ring = ring
        log.info("gossip keys", extra={"seals": fingerprint(ring[0]), "opens": [fingerprint(key) for key in ring]})
        if self._key is None:
            self._key = Keyring(ring)
        for key in ring:
            self._key.add(key)
        self._key.use(ring[0])
        for key in (retired := set(self._key.keys) - set(ring)):
            self._key.remove(key)
        if retired:
            self._happens(KeyRetired())
        self._correspondence.keys = tuple(mark(key) for key in ring)
        self.set_meta(self._said)

    def set_addresses(self, addresses: frozenset[str]) -> None:
        """Where the other agents' pods are now."""
        if addresses - self._joining.addresses:
            self._hurry.set()
        self._joining.addresses = addresses
        self._changed.set()

    def hurry(self) -> None:
        """This node's network came back: try everybody at once."""
        self._joining.start_over()
        self._hurry.set()
        self._changed.set()

    def set_meta(self, meta: Meta) -> None:
        """What this node says of itself."""
        self._said = meta
        self._meta = self._correspondence.meta(meta)
        if self._gossip is not None:
            self._gossip.update_meta(self._meta)

    def send(self, node: str, message: HandoverMessage) -> None:
        """Send to one member; best effort, the sender asks again."""
        if self._gossip is None:
            return
        for payload in self._correspondence.write(node, message):
            try:
                self._gossip.send_best_effort(node, payload)
            except UnknownMember:
                return

    async def send_flows(self, node: str, message: FlowsMessage) -> bool:
        """Send to one member, by streams. Whether all of it is there."""
        return await self._stream(node, self._correspondence.write_flows(node, message))

    async def send_strays(self, node: str, message: StrayMessage) -> bool:
        """Likewise."""
        return await self._stream(node, self._correspondence.write_strays(node, message))

    async def _stream(self, node: str, payloads: Sequence[bytes]) -> bool:
        gossip = self._gossip
        if gossip is None or not payloads:
            return False
        try:
            for payload in payloads:
                await gossip.send(node, payload)
        except (UnknownMember, StreamFailed) as error:
            log.info("flows could not be sent", extra={"node": node, "error": str(error)})
            return False
        return True

    async def run(self) -> None:
        """Take part until cancelled."""
        await self._has_key.wait()
        while True:
            try:
                await self._take_part()
            except* OSError as group:
                error = group.exceptions[0]
                log.warning("gossip port not available", extra={"port": self._port, "error": str(error)})
            await asyncio.sleep(REBIND)

    async def leave(self, timeout: float) -> None:
        """Tell the others that this node goes for good, within ``timeout`` seconds."""
        if self._gossip is not None:
            await self._gossip.leave(timeout)

    async def _take_part(self) -> None:
        gossip = Memberlist(
            self._node,
            bind=(self._host or "0.0.0.0", self._port),
            config=self._config,
            keyring=self._key,
            meta=self._meta,
            # Above that of any earlier run, so that what was said against one of those says nothing of this one.
            incarnation=int(time.time()),
            on_event=self._on_event,
            delegate=self._delegate,
        )
        earlier, _ = self._counted
        self._counted = earlier, gossip
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(gossip.run())
                await gossip.started()
                self._gossip = gossip
                gossip.update_meta(self._meta)
                self._happens(GossipStarted())
                log.info("gossip started", extra={"address": str(gossip.endpoint.address), "port": self._port})
                tasks.create_task(self._keep_joining(gossip))
                tasks.create_task(self._listen(gossip))
        finally:
            self._counted = earlier + _counted_by(gossip), None
            if self._gossip is not None:
                self._gossip = None
                self._happens(GossipEnded())

    async def _listen(self, gossip: Memberlist) -> None:
        await tick(lambda _: self._look_for_answers(gossip), lambda now: self.wake_within(now, LISTEN))

    def _look_for_answers(self, gossip: Memberlist, *, is_death: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        if self._hearing.look(now, gossip.answered_at, has_peers=bool(self._alive), is_death=is_death):
            is_cut_off = self._hearing.is_cut_off
            if is_cut_off:
                log.warning("no peer answers")
            else:
                log.info("peers answer again")
            self._happens(CutOff(is_cut_off))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, MemberFailed | MemberSuspected | MemberUpdated) and self._gossip is not None:
            self._look_for_answers(self._gossip, is_death=isinstance(event, MemberFailed))
        if isinstance(event, JoinSealed):
            self._sealed.add(str(event.address))
        if isinstance(event, MemberJoined | MemberUpdated) and event.member.name != self._node:
            self._joining.seen(str(event.member.address))
        self._changed.set()
        happened = self._correspondence.hear(event)
        if happened is not None:
            self._happens(happened)

    def _happens(self, event: PeerEvent) -> None:
        match event:
            case PeerAlive(node):
                if node not in self._alive:
                    log.info("peer alive", extra={"node": node})
                    self._alive.add(node)
            case GossipEnded():
                self._alive.clear()
                self._hearing = Hearing(self._config.probe_interval)
                self._correspondence.begin_again()
            case PeerGone(node, for_good):
                self._alive.discard(node)
                log.info("peer left" if for_good else "peer failed", extra={"node": node})
            case HandoverMessage() | FlowsMessage() if len(self._events) >= UNREAD:
                return
            case _:
                pass
        self._events.append(event)
        self._happened.set()

    async def _keep_joining(self, gossip: Memberlist) -> None:
        """Join whoever should be a member and isn't; a silent one doesn't keep the others waiting."""
        loop = asyncio.get_running_loop()
        self._joining.start_over()
        async with asyncio.TaskGroup() as tries:
            while True:
                self._changed.clear()
                self._hurry.clear()
                alive = (one for one in gossip.members.values() if one.state in (State.ALIVE, State.SUSPECT))
                here = {str(gossip.endpoint.address), *(str(member.address) for member in alive)}
                self._heard_from(here)
                if self._rotation is not None:
                    self._rotate(self._rotation)
                for address in self._joining.due(here, loop.time()):
                    tries.create_task(self._try(gossip, address))
                await _within(LOOK, self._hurry)
                rest = REST if self._rotation is None or self._rotation.is_at_rest else TURN
                await _within(min(self._joining.next_due(here) - loop.time(), rest), self._changed)

    async def _try(self, gossip: Memberlist, address: str) -> None:
        self._sealed.discard(address)
        worked = await gossip.join([(address, self._port)])
        if address in self._sealed:
            self._joining.seen(address)
            self._is_deaf_to(self._deaf_to | {address})
        else:
            self._is_deaf_to(self._deaf_to - {address})
        self._joining.tried(address, asyncio.get_running_loop().time(), worked=worked > 0)
        self._changed.set()

    def _heard_from(self, members: Set[str]) -> None:
        """Who is a member by now, or isn't tried any more, is nobody to be deaf to."""
        self._is_deaf_to((self._deaf_to - members) & self._joining.known)

    def _is_deaf_to(self, addresses: Set[str]) -> None:
        was_deaf, self._deaf_to = bool(self._deaf_to), set(addresses)
        if bool(addresses) != was_deaf:
            if addresses:
                log.warning("agents with another gossip key", extra={"addresses": sorted(addresses)})
            self._happens(Deaf(bool(addresses)))


def _counted_by(gossip: Memberlist) -> Counter[str]:
    return Counter({**gossip.counters, "bytes sent": gossip.bytes_sent, "packets sent": gossip.packets_sent})


async def _within(seconds: float, happens: asyncio.Event) -> None:
    """Wait for it, but not longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await happens.wait()
