"""Which of two allocators is the one writer: a Lease, with a local expiry that needs no network to hold.

The rules are client-go's (tools/leaderelection): a follower trusts its own monotonic clock and the fact that a Lease
changed, never the times in it; a leader that couldn't renew stops well before a follower may take over. Anybody who may
write Leases can write another duration into ours, so it counts within bounds only.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from purelb import names
from purelb.errors import ConflictError, KubeError, NotFoundError, PureLBError
from purelb.kube import Kube, group_path

log = logging.getLogger(__name__)

LEASE: Final = names.ALLOCATOR_COMPONENT
"""Name of the Lease, in our own namespace."""


class Term(Protocol):
    """For how long we may write."""

    def left(self, now: float) -> float:
        """Seconds, 0 or less for not at all; ``now`` in monotonic seconds. Needs no network."""


class LeadershipLostError(PureLBError):
    """We couldn't renew in time: another may lead now, so this process must not write any more."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; ``renew < give_up < duration``. After a crash a follower takes over within ``duration + poll``."""

    duration: float = 6.0
    """How long a Lease that doesn't change is respected, at least."""
    longest: float = 30.0
    """At most, whatever it says itself."""
    give_up: float = 4.5
    """How long after its last renewal was sent a leader may still write."""
    renew: float = 1.5
    """Between two renewals."""
    poll: float = 0.5
    """Between two looks of a follower."""
    request: float = 2.0
    """One request to the API server."""
    patience: float = 10.0
    """How long nobody may lead, as far as a follower sees, before it says so."""


class Leadership:
    """One candidate. ``acquire``, then ``keep``; ``left`` between every decision and its write."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        identity: str,
        clock: Callable[[], float],
        timing: Timing | None = None,
    ) -> None:
        self._kube = kube
        self._path = group_path("coordination.k8s.io/v1", "leases", namespace, LEASE)
        self._collection = group_path("coordination.k8s.io/v1", "leases", namespace)
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._timing = timing or Timing()
        self._until = float("-inf")
        self._lease: Mapping[str, Any] | None = None
        self._observed = clock()
        self._heard = clock()
        self._holder = ""
        self._seen_version = ""
        self._trouble = ""

    @property
    def is_ours(self) -> bool:
        """Whether we may write now. Needs no network: it turns false by itself."""
        return self.left(self._clock()) > 0

    def left(self, now: float) -> float:
        """For how many seconds we may still write."""
        return self._until - now

    def unrenewed(self, now: float) -> float:
        """Seconds since the Lease was last seen to change."""
        return now - self._observed

    def complaint(self, now: float) -> str | None:
        """Why nobody leads, as far as we can see, in one sentence; None: somebody does, or that's but a moment ago."""
        if self.left(now) > 0:
            return None
        if self._trouble and now - self._heard >= self._timing.patience:
            return f"the Lease {self._namespace}/{LEASE} can't be read or written: {self._trouble}"
        if self._holder and self.unrenewed(now) >= self._timing.patience:
            held = f'the Lease {self._namespace}/{LEASE} is held by "{self._holder}", which does not renew it'
            return f"{held}; it counts for {self._timing.longest:g} s at most"
        return None

    async def acquire(self) -> None:
        """Return when we lead."""
        while not await self._try():
            await asyncio.sleep(self._timing.poll)
        log.info("leading", extra={"identity": self._identity})

    async def keep(self) -> None:
        """Renew until cancelled. Raises LeadershipLostError as soon as we mustn't write any more."""
        while True:
            await asyncio.sleep(self._timing.renew)
            while not await self._try():
                if not self.is_ours:
                    raise LeadershipLostError("the lease could not be renewed in time; another allocator may lead now")
                await asyncio.sleep(min(self._timing.poll, max(self._until - self._clock(), 0.0)))

    async def release(self) -> None:
        """Give the Lease up, so that a follower takes over at once. Says so where that fails, and lets it expire."""
        if not self.is_ours:
            return
        self._until = float("-inf")
        if self._lease is None:  # its last renewal failed, so we don't know how it stands
            return
        body = self._body(self._lease, holder="")
        try:
            await self._kube.request("PUT", self._path, body=body, timeout=self._timing.request)
        except KubeError as error:
            log.warning("lease not released", extra={"reason": str(error)})

    async def _try(self) -> bool:
        """One attempt to take or renew the Lease."""
        sent = self._clock()
        try:
            lease = await self._renewed()
        except KubeError as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("lease not written", extra={"reason": self._trouble})
            self._lease = None
            return False
        self._trouble, self._heard = "", self._clock()
        if lease is None:
            return False
        self._lease, self._observed = lease, self._heard
        self._until = sent + self._timing.give_up
        return True

    async def _renewed(self) -> Mapping[str, Any] | None:
        """The Lease with us as its holder; None as long as it is another's. Raises KubeError."""
        lease, deadline = self._lease, self._timing.request
        if lease is None or not self.is_ours:
            try:
                lease = await self._kube.request("GET", self._path, timeout=deadline)
            except NotFoundError:
                try:
                    return await self._kube.request(
                        "POST", self._collection, body=self._body(None, self._identity), timeout=deadline
                    )
                except ConflictError:
                    return None
            if not self._is_free(lease):
                return None
        try:
            return await self._kube.request("PUT", self._path, body=self._body(lease, self._identity), timeout=deadline)
        except ConflictError:
            self._lease = None
            return None

    def _is_free(self, lease: Mapping[str, Any]) -> bool:
        """Whether the holder has given up, is ourselves, or hasn't been heard of for the whole duration."""
        version = str(lease["metadata"].get("resourceVersion", ""))
        if version != self._seen_version:
            self._seen_version = version
            self._observed = self._clock()
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        respected = min(max(float(spec.get("leaseDurationSeconds") or 0), self._timing.duration), self._timing.longest)
        self._holder = holder
        return holder in ("", self._identity) or self._clock() >= self._observed + respected

    def _body(self, lease: Mapping[str, Any] | None, holder: str) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = dict((lease or {}).get("spec") or {})
        if spec.get("holderIdentity") != holder or "acquireTime" not in spec:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = spec.get("leaseTransitions", -1) + 1
        spec |= {
            "holderIdentity": holder,
            "leaseDurationSeconds": round(self._timing.duration) if holder else 1,
            "renewTime": now,
        }
        metadata: dict[str, Any] = {
            "name": LEASE,
            "namespace": self._namespace,
            "labels": names.labels_of_made(names.ALLOCATOR_COMPONENT),
        }
        if lease is not None:
            metadata["resourceVersion"] = lease["metadata"].get("resourceVersion", "")
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
