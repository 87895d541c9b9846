"""Run a kopf registry as one task of ours: settings, login, readiness, stop. Handlers live in the programs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from purelb import names
from purelb.credentials import Credentials
from purelb.kube import Kube, custom_path
from purelb.light_kopf import kopf
from purelb.retry import Backoff, persist

_IDENTITY: Final[Any] = "purelb"
"""Without one, kopf looks the host's name up, and a DNS server that doesn't answer blocks the loop for seconds."""

_STOP: Final = 2.0
"""Seconds that kopf's own tasks get to end."""


async def wait_for_kinds(kube: Kube) -> None:
    """Return when the API server serves our custom resources.

    kopf looks for kinds once (scanning needs rights on CRDs that we don't ask for), and one ``kubectl apply`` may
    start us before the CRDs beside us are established.
    """

    async def look() -> None:
        for plural in (names.SERVICE_GROUPS, names.LB_NODE_AGENTS):
            await kube.get(custom_path(plural), limit="1")

    await persist("the custom resources", look, Backoff(first=0.2, most=2.0))


async def run_operator(
    registry: kopf.OperatorRegistry,
    memo: object,
    kube: Kube,
    *,
    ready: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve ``registry`` until ``stop`` is set (in a main thread also until SIGTERM or SIGINT: kopf listens itself).

    Register handlers of kind ``on.event`` and indices only, so that kopf writes nothing to the objects.
    """
    kopf.on.login(registry=registry, id="login")(_login(kube.credentials))
    await wait_for_kinds(kube)
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=_settings(),
        memo=memo,
        identity=_IDENTITY,
        clusterwide=True,
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )
    # Not kopf.run_tasks: when it stops, it waits 5 s for every task of the loop that began after it, ours too, and then
    # cancels them. A thread of its own was tried: two busy threads hand the interpreter over at every system call, and
    # an allocation took three times as long.
    done: set[asyncio.Task[Any]] = set()
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_STOP)
    for task in done:
        task.result()


def _login(credentials: Callable[[], Awaitable[Credentials]]) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            token=found.token,
            ca_path=found.ca_path,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            insecure=found.insecure,
        )

    return login


class _NoDiffs(kopf.DiffBaseStorage):
    """Last-seen states, which only create and update handlers need: making them is most of kopf's work per event."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Progress of handlers that are retried: ours never are."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    # kopf's memory at a start goes by how many objects are in its hands at once.
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 0.2
    settings.watching.connect_timeout = 5.0
    settings.watching.server_timeout = 300  # an integer on the wire
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2, 3, 5)
    settings.process.ultimate_exiting_timeout = None
    return settings
