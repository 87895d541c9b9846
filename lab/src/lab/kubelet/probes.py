"""Startup, readiness and liveness probes of a container, asked from its node as kubelet does.

Owns the schedule and the verdict of a probe; what follows from a verdict is the caller's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lab.machine.namespaces import inside

Object = dict[str, Any]

# Until the first success a lab asks more often than the manifest says: it has to come up fast.
_EAGER_SECONDS = 0.2
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of the manifest, its defaults filled in (seconds)."""

    action: Object
    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def parse(cls, spec: Object | None) -> Probe | None:
        if not spec:
            return None
        return cls(
            action={key: spec[key] for key in ("httpGet", "tcpSocket", "exec") if key in spec},
            initial_delay=float(spec.get("initialDelaySeconds") or 0),
            period=float(spec.get("periodSeconds") or 10),
            timeout=float(spec.get("timeoutSeconds") or 1),
            success_threshold=int(spec.get("successThreshold") or 1),
            failure_threshold=int(spec.get("failureThreshold") or 3),
        )


@dataclass(slots=True)
class Verdict:
    """Consecutive results against the thresholds; `passes` is None until one of them is reached."""

    probe: Probe
    passes: bool | None = None
    _streak: int = field(default=0, init=False)
    _last: bool | None = field(default=None, init=False)

    def count(self, success: bool) -> bool:
        """Take one result; True when the verdict changed."""
        self._streak = self._streak + 1 if success == self._last else 1
        self._last = success
        needed = self.probe.success_threshold if success else self.probe.failure_threshold
        if self._streak >= needed and self.passes is not success:
            self.passes = success
            return True
        return False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a container is asked: from which network, at which address, with which named ports."""

    netns: int
    address: str
    ports: dict[str, int]

    def at(self, action: Object) -> Target:
        """The target of this action, which may name a host of its own; what it names is asked from the same network."""
        return replace(self, address=action.get("host") or self.address)

    def port(self, value: int | str) -> int:
        return value if isinstance(value, int) else self.ports[value]


async def watch(
    probe: Probe,
    target: Target,
    run_command: Callable[[list[str]], Awaitable[int]],
    changed: Callable[[bool], None],
    *,
    eager: bool,
) -> None:
    """Probe for ever and tell each change of the verdict; `eager` asks often until the first success."""
    verdict = Verdict(probe)
    await asyncio.sleep(probe.initial_delay)
    while True:
        if verdict.count(await ask(probe, target, run_command)):
            changed(bool(verdict.passes))
        hurry = eager and not verdict.passes
        await asyncio.sleep(min(probe.period, _EAGER_SECONDS) if hurry else probe.period)


async def ask(probe: Probe, target: Target, run_command: Callable[[list[str]], Awaitable[int]]) -> bool:
    """Ask once; anything but a timely good answer is a failure."""
    try:
        async with asyncio.timeout(probe.timeout):
            match probe.action:
                case {"httpGet": action}:
                    return 200 <= await _http_status(action, target) < 400
                case {"tcpSocket": action}:
                    with await _connect(target.at(action), target.port(action["port"])):
                        return True
                case {"exec": action}:
                    return await run_command(action["command"]) == 0
    except (OSError, TimeoutError, ValueError, KeyError, asyncio.IncompleteReadError):
        pass
    return False


async def _connect(target: Target, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET

    def make() -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        return connection

    connection = await asyncio.to_thread(inside, target.netns, make)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (target.address, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _http_status(action: Object, pod: Target) -> int:
    target = pod.at(action)
    connection = await _connect(target, target.port(action["port"]))
    context = None
    if action.get("scheme") == "HTTPS":
        # Like kubelet: a probe proves that something answers, not who.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        sock=connection, limit=_HEAD_LIMIT, ssl=context, server_hostname="" if context else None
    )
    try:
        host = f"[{target.address}]" if ":" in target.address else target.address
        headers = {"Host": host, "User-Agent": "kube-probe/lab", "Connection": "close"}
        headers.update({one["name"]: one["value"] for one in action.get("httpHeaders") or ()})
        lines = [f"GET {action.get('path') or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        head = await reader.readline()
        return int(head.split()[1])
    except IndexError:
        return 0
    finally:
        writer.close()
