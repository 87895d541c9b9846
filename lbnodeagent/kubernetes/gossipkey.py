"""Where the gossip's keys come from: ML_GROUP, as PureLB v0.6 to v0.13 has it, else the Secret of the allocator.

The Secret's entry ``key`` is the one that seals; every other entry, whatever its name, only opens. Agents follow the
Secret while they run. What they do with a change is keyrotation.py's.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from lbnodeagent.kubernetes.keyrotation import Rotation
from lbnodeagent.messages import KeysKnown
from purelb import names
from purelb.errors import KubeError, NotFoundError
from purelb.events import EventRecorder, reference
from purelb.kube import FROM_CACHE, Kube, core_path, decode_secret
from purelb.metrics import AgentMetrics
from purelb.retry import Backoff, persist
from purelb.settings import KEY_SIZES, AgentSettings

log = logging.getLogger(__name__)

LOOK: Final = 10.0
"""Seconds between two looks at the Secret."""
SETTLE: Final = 45.0
"""Seconds after which every agent has seen a change: three looks, and some of them may fail."""


class BadKey(NotFoundError):
    """The Secret has no key that can be used; it's waited for as if there were none."""


class GossipKeys:
    """Tells the data plane the keys, and changes of them."""

    def __init__(
        self,
        kube: Kube,
        settings: AgentSettings,
        events: EventRecorder,
        metrics: AgentMetrics,
        tell: Callable[[KeysKnown], None],
    ) -> None:
        self._kube = kube
        self._settings = settings
        self._events = events
        self._metrics = metrics
        self._tell = tell
        self._told: tuple[bytes, ...] = ()
        self._complaint = ""

    async def follow(self) -> None:
        """Until cancelled; with ML_GROUP there is nothing to follow.

        It waits for the Secret, as agents may start before the allocator: an agent without a key could not talk to
        those that have one, and would announce what they announce.
        """
        if self._settings.gossip_key is not None:
            self._use((self._settings.gossip_key,))
            return
        loop = asyncio.get_running_loop()
        keys = await persist("the gossip key", self._read, Backoff(first=0.1, most=1.0))
        rotation = Rotation(keys, loop.time(), SETTLE)
        while True:
            self._use(rotation.ring(loop.time()))
            await asyncio.sleep(LOOK * random.uniform(0.8, 1.2))
            try:
                rotation.seen(await self._read(**FROM_CACHE), loop.time())
            except KubeError as error:  # what is known stays in use
                log.debug("gossip key not read", extra={"reason": str(error)})

    async def _read(self, **query: str) -> tuple[bytes, ...]:
        path = core_path("secrets", self._settings.common.namespace, names.GOSSIP_SECRET)
        secret = await self._kube.get(path, **query)
        keys, complaint = keys_of(secret)
        if complaint != self._complaint:
            self._complaint = complaint
            if complaint:
                log.warning("gossip key", extra={"reason": complaint})
                about = reference(secret, "Secret", "v1")
                self._events.record(about, "Warning", names.REASON_GOSSIP_KEY_INVALID, complaint)
        if not keys:
            raise BadKey(complaint)
        return keys

    def _use(self, ring: tuple[bytes, ...]) -> None:
        if ring == self._told:
            return
        self._told = ring
        self._metrics.gossip_keys.clear()
        for number, key in enumerate(ring):
            self._metrics.gossip_keys.labels(fingerprint(key), "opens" if number else "seals").set(1)
        log.info("gossip keys", extra={"seals": fingerprint(ring[0]), "opens": [fingerprint(key) for key in ring]})
        self._tell(KeysKnown(ring))


def keys_of(secret: Mapping[str, Any]) -> tuple[tuple[bytes, ...], str]:
    """The keys of the Secret, the one that seals first, and what is wrong with it; none without one that seals."""
    name, complaints, keys = names.GOSSIP_SECRET, [], list[bytes]()
    entries = dict.fromkeys((names.GOSSIP_SECRET_KEY, *sorted(secret.get("data") or {})))
    for entry in entries:
        try:
            key = decode_secret(secret, entry)
        except ValueError:
            key = b""
        if key is None:
            return (), f"the Secret {name} has no entry {entry}"
        if len(key) in KEY_SIZES:
            if key not in keys:
                keys.append(key)
            continue
        complaints.append(f"{entry} of the Secret {name} has {len(key)} bytes, but a gossip key has 16, 24 or 32")
        if entry == names.GOSSIP_SECRET_KEY:
            return (), complaints[0]
    return tuple(keys), "; ".join(complaints)


def fingerprint(key: bytes) -> str:
    """By which users tell keys apart without seeing them: the first 8 digits of ``sha256sum``."""
    return hashlib.sha256(key).hexdigest()[:8]
