"""What the lab itself does to its API server: `purelb-lab fault api KIND` of a real one, and rotation of either.

Owns the table of these faults; how the programs are ended and started is `kubedouble.envtest`'s, what refuses writes
`neighbours.refusals`', what becomes of connections on the wire `wire.forward`'s, of requests there `front`'s. A restart
befalls everybody, the lab's own parts too: they wait until the server is there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from kubedouble import Fault
from kubedouble.envtest import ControlPlane as RealControlPlane
from kubedouble.envtest import NotStarted
from lab.api.cluster import Cluster
from lab.command.apifaults import PROGRAMS
from lab.command.controlplane import ControlPlane
from lab.command.front import FRONT_FAULTS, Front
from lab.command.kubectl import run_kubectl
from lab.command.rotation import Rotation
from lab.errors import FaultRefused
from lab.neighbours import refusals
from lab.settings import REAL_API_FAULTS
from lab.wire.forward import WAY_FAULTS, Forwarder

_BEFORE: Final = "has a proxy before it on the wire that does so to PureLB's programs, until `heal api`"
AWAY: Final = 2.0
"""Seconds for which a restart leaves no API server; it takes some more to come up."""


class ServerFaults:
    """Of one lab."""

    def __init__(self, plane: ControlPlane, rotation: Rotation, cluster: Cluster, folder: Path) -> None:
        self._plane = plane
        self._rotation = rotation
        self._cluster = cluster
        self._folder = folder
        self._lock = asyncio.Lock()
        self._active: list[str] = []
        self._front: Front | None = None

    async def begin(self, kind: str, subject: str | None) -> str:
        """Do it, and wait until it is so; a sentence about it. Raises FaultRefused and KubeError."""
        kinds = self._kinds()
        if kind not in kinds:
            known = ", ".join(REAL_API_FAULTS)
            raise FaultRefused(f"no fault {kind!r} of a real API server, which takes no orders; there are: {known}")
        if subject is not None:
            raise FaultRefused(f"{kind} befalls the API server as a whole: {subject} has no place there")
        action, done = kinds[kind]
        async with self._lock:
            try:
                await action()
            except (NotStarted, ValueError) as failure:
                raise FaultRefused(str(failure)) from failure
        return f"API server: {kind}: it {done}"

    def _kinds(self) -> Mapping[str, tuple[Callable[[], Awaitable[None]], str]]:
        rotation = {"rotate": (self._rotate, "has another authority, and no token of pods is good any more")}
        real, way = self._plane.real, self._plane.forward
        if real is None or way is None:
            return rotation
        return {
            **rotation,
            "slow": (partial(self._fail, way, "slow"), "answers 1 s late on the wire, until `heal api`"),
            "half-open": (partial(self._fail, way, "half-open"), "says nothing more on the wire, until `heal api`"),
            "down": (partial(self._fail, way, "down"), "cuts connections on the wire, until `heal api`"),
            "reset": (partial(self._fail, way, "reset"), "resets connections on the wire, until `heal api`"),
            **{kind: (partial(self._put_before, real, way, kind), _BEFORE) for kind in FRONT_FAULTS},
            "quota": (self._use_up_quotas, "lets nothing be created in any namespace, until `heal api`"),
            "admission": (self._deny, "denies all writes of PureLB's programs, until `heal api`"),
            "restart": (partial(real.restart, AWAY), "was killed, and serves again"),
            "remember": (real.remember, "has a copy of etcd's data"),
            "go-back": (real.go_back, "serves the older copy of etcd's data"),
        }

    async def end(self) -> str:
        """End what lasts; a sentence about it. Raises KubeError."""
        async with self._lock:
            healed = self.active()
            if "quota" in healed:
                await refusals.lift_quotas(self._cluster)
            if "admission" in healed:
                await refusals.allow(self._cluster)
            if self._plane.forward is not None:
                self._plane.forward.heal()
            await self._take_away()
            self._active.clear()
        return f"API server: {', '.join(healed) + ' healed' if healed else 'nothing to heal'}"

    def active(self) -> list[str]:
        """What lasts."""
        return sorted(set(self._active))

    async def _rotate(self) -> None:
        await self._rotation.run()
        if self._front is not None:
            self._front.renew()

    async def _fail(self, way: Forwarder, kind: str) -> None:
        await self._clear(way)
        self._active.append(kind)
        way.fail(kind)

    async def _put_before(self, real: RealControlPlane, way: Forwarder, kind: str) -> None:
        front = Front(real.url, real.tls_folder, Fault(kind, user_agent=PROGRAMS))
        await front.open()
        await self._clear(way)
        self._active.append(kind)
        self._front = front
        way.divert(front.port)

    async def _clear(self, way: Forwarder) -> None:
        """One thing is wrong with the way at a time: what was ends."""
        self._active = [one for one in self._active if one not in (*WAY_FAULTS, *FRONT_FAULTS)]
        await self._take_away()
        way.heal()

    async def _take_away(self) -> None:
        if self._front is not None:
            await self._front.close()
            self._front = None

    async def _use_up_quotas(self) -> None:
        self._active.append("quota")
        await refusals.use_up_quotas(self._cluster)

    async def _deny(self) -> None:
        self._active.append("admission")
        await refusals.deny(self._cluster, self._is_denied)

    def _is_denied(self) -> bool:
        """Whether a program of ours would be denied a write that RBAC lets it do."""
        who = (f"--as={refusals.PROGRAMS}probe", "--as-group=system:masters")
        done = run_kubectl(self._folder, ("create", "configmap", "probe", "--dry-run=server", *who))
        return done.returncode != 0 and "denied request" in done.stderr
