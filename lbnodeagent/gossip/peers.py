"""The other agents: runs the gossip, keeps the roster from its events, and finds members to join.

Whom to join comes from the agents' pods (the control plane tells) and from whoever was a member before; both stay
known while the API server is away, and are tried again and again, so that a partition heals.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import HandoverMessage, Meta, decode_message, encode_messages, encode_meta
from lbnodeagent.tables import FOREVER
from memberlist import (
    Config,
    Event,
    Keyring,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    Memberlist,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    UnknownMember,
    UserMessage,
)

log = logging.getLogger(__name__)

LOOK: Final = 0.2
"""Seconds between two looks for peers that could be joined."""
BACKOFF: Final = (0.2, 0.4, 0.8, 1.5, 3.0)
"""Seconds until an address that didn't answer is tried again, if a member was there before; the last value repeats."""
BACKOFF_STRANGER: Final = 30.0
"""The longest such pause for an address where no member has been: it may be another program's pod."""
AT_ONCE: Final = 8
FORGET: Final = 400
"""Failed tries, some 20 minutes, after which a former member that has no pod any more is given up."""
REBIND: Final = 0.5
"""Seconds until the gossip port is tried again when it's taken (by an agent that is just stopping)."""


class Peers:
    """This node's part in the gossip. ``run`` it; it begins when ``set_keys`` was called.

    ``on_change``: the roster changed. ``on_message``: a hand-over message came. Both are called on the running loop.
    """

    def __init__(self, node: str, host: str, port: int, config: Config) -> None:
        self.roster = Members(node)
        self.addresses: frozenset[str] = frozenset()
        """Where the other agents' pods are."""
        self.on_change: Callable[[], None] = _nothing
        self.on_message: Callable[[HandoverMessage], None] = _nothing_with
        self._node = node
        self._host = host
        self._port = port
        self._config = config
        self._key: Keyring | None = None
        self._has_key = asyncio.Event()
        self._meta = encode_meta(self.roster.own)  # an empty one would make it a candidate, as PureLB's own agents are
        self._gossip: Memberlist | None = None
        self._seen: set[str] = set()
        self._failures: dict[str, int] = {}
        self._try_at: dict[str, float] = {}
        self._hurry = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether peers can be heard: before that, their silence means nothing."""
        return self._gossip is not None

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """The gossip's keys, of 16, 24 or 32 bytes: the first one seals, all open. May change while it runs."""
        if self._key is None:
            self._key = Keyring(keys)
        for key in keys:
            self._key.add(key)
        self._key.use(keys[0])
        for key in set(self._key.keys) - set(keys):
            self._key.remove(key)
        self._has_key.set()

    def set_addresses(self, addresses: frozenset[str]) -> None:
        """Where the other agents' pods are now."""
        if addresses - self.addresses:
            self._hurry.set()
        self.addresses = addresses

    def hurry(self) -> None:
        """This node's network came back: try everybody at once."""
        self._failures.clear()
        self._try_at.clear()
        self._hurry.set()

    def set_meta(self, meta: Meta) -> None:
        """What this node says of itself."""
        self._meta = encode_meta(meta)
        if self._gossip is not None:
            self._gossip.update_meta(self._meta)

    def send(self, node: str, message: HandoverMessage) -> None:
        """Send to one member; best effort, the sender asks again."""
        if self._gossip is None:
            return
        for payload in encode_messages(message):
            try:
                self._gossip.send_best_effort(node, payload)
            except UnknownMember:
                return

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
            on_event=self._on_event,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(gossip.run())
                await gossip.started()
                self._gossip = gossip
                gossip.update_meta(self._meta)
                self.on_change()
                log.info("gossip started", extra={"address": str(gossip.endpoint.address), "port": self._port})
                tasks.create_task(self._keep_joining(gossip))
        finally:
            self._gossip = None

    def _on_event(self, event: Event) -> None:
        match event:
            case MemberJoined(member) | MemberUpdated(member):
                if member.name == self._node:
                    return
                if member.name not in self.roster.others:
                    log.info("peer alive", extra={"node": member.name, "address": str(member.address)})
                self._seen.add(str(member.address))
                self.roster.joined(member.name, member.meta)
                self.on_change()
            case MemberFailed(member) | MemberLeft(member):
                if member.name == self._node:
                    return
                has_left = isinstance(event, MemberLeft)
                log.info("peer left" if has_left else "peer failed", extra={"node": member.name})
                self.roster.gone(member.name, for_good=has_left)
                self.on_change()
            case MemberSuspected():
                pass
            case UserMessage(payload):
                self._on_message(payload)
            case NameConflict(existing, address, _):
                log.error(
                    "two nodes gossip under one name",
                    extra={"node": existing.name, "known": str(existing.address), "other": str(address)},
                )
            case _:
                assert_never(event)

    def _on_message(self, payload: bytes) -> None:
        try:
            message = decode_message(payload)
        except MetaError as error:
            log.warning("a peer's message can't be read", extra={"error": str(error)})
            return
        if message is not None:
            self.on_message(message)

    async def _keep_joining(self, gossip: Memberlist) -> None:
        """Join whoever should be a member and isn't; a silent one doesn't keep the others waiting."""
        self._failures.clear()
        self._try_at.clear()
        async with asyncio.TaskGroup() as tries:
            while True:
                for address in self._due(gossip, time.monotonic()):
                    self._try_at[address] = FOREVER
                    tries.create_task(self._try(gossip, address))
                self._hurry.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._hurry.wait()

    def _due(self, gossip: Memberlist, now: float) -> list[str]:
        own = str(gossip.endpoint.address)
        live = {str(member.address) for member in gossip.members.values() if member.name in self.roster.others}
        absent = (self.addresses | self._seen) - live - {own}
        due = [address for address in absent if self._try_at.get(address, 0.0) <= now]
        return random.sample(due, min(AT_ONCE, len(due)))

    async def _try(self, gossip: Memberlist, address: str) -> None:
        worked = await gossip.join([(address, self._port)])
        failures = 0 if worked else self._failures.get(address, 0) + 1
        self._failures[address] = failures
        pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
        if address not in self._seen and failures > len(BACKOFF):
            pause = min(BACKOFF_STRANGER, pause * 1.5 ** min(failures - len(BACKOFF), 20))
        self._try_at[address] = time.monotonic() + pause * random.uniform(0.8, 1.2)
        if address not in self.addresses and failures > FORGET:
            self._seen.discard(address)


def _nothing() -> None:
    """Before the data plane is there, nobody listens."""


def _nothing_with(_: HandoverMessage) -> None:
    """Likewise."""
