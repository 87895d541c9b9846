"""The Secret with the gossip's key: there is one, always.

A key in a manifest is everybody's key, so the allocator makes one. It follows the Secret, and the leader makes it
again as soon as it isn't there: with what it had when it was last seen fit for use, so that agents which have it and
agents that start meanwhile go on understanding each other; with a new key if it was never seen. What a user makes or
changes stays.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final, TypeAlias, assert_never

from purelb import names
from purelb.answers import JsonObject
from purelb.backoff import Backoff
from purelb.errors import ConflictError, KubeError
from purelb.follow import Follower, Source, complaint
from purelb.gossipkeys import keys_of
from purelb.kube import Kube, core_path
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, Deleted, News, Replaced
from purelb.retry import persist

Data: TypeAlias = Mapping[str, str]

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
"""AES-256."""
PATIENCE: Final = Backoff(first=0.2, most=2.0)


class Remembered:
    """What the Secret held when it could last be used; it outlives terms as leader and connections."""

    def __init__(self) -> None:
        self.data: Data | None = None

    def see(self, data: Data) -> None:
        """What it holds now. Without a key that seals agents don't use it, and what it held before is worth more."""
        keys, _ = keys_of({"data": data})
        if keys:
            self.data = data


class GossipSecret:
    """``follow`` it from the beginning, and ``keep`` it while leading."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
        remembered: Remembered,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """``clock`` is monotonic seconds; ``entropy`` gives as many random bytes as it is asked for.

        ``remembered`` is what was seen before, and is told what is seen now.
        """
        self._kube = kube
        self._path = core_path("secrets", namespace)
        self._clock = clock
        self._entropy = entropy
        self._remembered = remembered
        self._is_missing = asyncio.Event()
        self._heard = 0
        """How often there was news of it."""
        source = Source(
            f"Secret {names.GOSSIP_SECRET}", self._path, {"fieldSelector": f"metadata.name={names.GOSSIP_SECRET}"}
        )
        self._follower: Follower[Data] = Follower(kube, source, _data, clock=clock, rng=random.Random())
        self._follower.show(metrics)

    def trouble(self, now: float) -> str | None:
        """Why it can't be followed, in one sentence; ``now`` is monotonic seconds."""
        return complaint((self._follower.standing,), now)

    async def follow(self) -> None:
        """Hear of it, until cancelled."""
        async with aclosing(self._follower.news()) as stream:
            async for news in stream:
                self._hear(news)

    async def keep(self) -> None:
        """Make it whenever it isn't there, until cancelled."""
        while True:
            await self._is_missing.wait()
            await persist("the gossip key", self._make, PATIENCE)

    def _hear(self, news: News[Data]) -> None:
        match news:
            case Replaced(items):
                data = next(iter(items.values()), None)
            case Changed(_, item):
                data = item
            case Deleted():
                data = None
            case _:
                assert_never(news)
        self._heard += 1
        if data is None:
            self._is_missing.set()
        else:
            self._remembered.see(data)
            self._is_missing.clear()

    async def _make(self) -> None:
        """Make it, if it is still missing. Raises KubeError. Somebody else's counts as well.

        What is heard while we wait for the answer goes before it, a deletion of what was just made say.
        """
        if not self._is_missing.is_set():
            return
        heard = self._heard
        self._is_missing.clear()
        data = self._remembered.data
        key = base64.b64encode(self._entropy(KEY_BYTES)).decode()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": names.GOSSIP_SECRET,
                "labels": names.labels_of_made(names.ALLOCATOR_COMPONENT),
            },
            "type": "Opaque",
            "data": {names.GOSSIP_SECRET_KEY: key} if data is None else dict(data),
        }
        try:
            await self._kube.create(self._path, secret)
        except KubeError as error:
            if isinstance(error, ConflictError) and error.is_there:
                return
            if self._heard == heard:
                self._is_missing.set()
            raise
        log.info("gossip key made", extra={"is_new": data is None})


def _data(secret: JsonObject) -> Data:
    return dict(secret.get("data") or {})
