"""Commands that ask for something and see what becomes of it. It reads a clock, to wait for so long and no longer."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from kubectl_purelb.answers import Answer
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.commands.move import moved
from kubectl_purelb.commands.rebalance import look, rebalance
from kubectl_purelb.moving import is_there, obstacle
from kubectl_purelb.reading import read_backends, read_cluster, read_service
from kubectl_purelb.shares import moves_left, planned
from kubectl_purelb.writing import ask_to_rebalance, prefer
from purelb.errors import SettingsError, UnavailableError
from purelb.kube import Kube

T = TypeVar("T")

INTERVAL: Final = 1.0
"""Seconds between two looks at what has become of it."""
FOR_MOVE: Final = 60.0
FOR_REBALANCE: Final = 120.0
"""Seconds for which an outcome is waited for, if nothing else is said."""
QUIET: Final = 25.0
"""Seconds without a move after which nothing more is expected: two of the allocator's steps, and a half."""


async def move(kube: Kube, cluster: Cluster, arguments: Arguments) -> Answer:
    """Have a Service's addresses on a node. Raises SettingsError where that can't be, and KubeError."""
    service = cluster.find(arguments.subject, arguments.namespace)
    node = arguments.node
    if node:
        backends = await read_backends(kube, service.key)
        why = obstacle(service, node, cluster, backends.nodes)
        if why is not None:
            raise SettingsError(why)
    if not arguments.is_rehearsal:
        await prefer(kube, service, node or None)
    if not node or arguments.timeout == 0.0 or arguments.is_rehearsal:
        return moved(service, service, cluster, node, None)

    async def seen() -> Cluster:
        return cluster.with_service(await read_service(kube, service.key))

    after, seconds = await until(
        seen,
        lambda now: is_there(now.find(str(service.key), None), node, now),
        FOR_MOVE if arguments.timeout is None else arguments.timeout,
    )
    return moved(service, after.find(str(service.key), None), after, node, seconds)


async def even_out(kube: Kube, cluster: Cluster, arguments: Arguments) -> Answer:
    """Have addresses evened out now. Raises SettingsError where none is planned, and KubeError."""
    look(cluster)
    if arguments.is_rehearsal:
        return rebalance(cluster, cluster, is_asked=False)
    loop = asyncio.get_running_loop()
    await ask_to_rebalance(kube, cluster.namespace, datetime.datetime.now(datetime.UTC).isoformat())
    if arguments.timeout == 0.0:
        return rebalance(cluster, cluster, is_asked=True)
    where, since = planned(cluster), loop.time()

    def is_over(now: Cluster) -> bool:
        nonlocal where, since
        if (there := planned(now)) != where:
            where, since = there, loop.time()
        return not moves_left(look(now)) or loop.time() - since >= QUIET

    timeout = FOR_REBALANCE if arguments.timeout is None else arguments.timeout
    after, seconds = await until(lambda: read_cluster(kube, cluster.namespace), is_over, timeout)
    return rebalance(cluster, after, is_asked=True, seconds=seconds)


async def until(see: Callable[[], Awaitable[T]], is_over: Callable[[T], bool], timeout: float) -> tuple[T, float]:
    """Look again and again until it is over, or for ``timeout`` seconds; what was seen last, and after how long.

    An API server that is away for a moment is asked again: what was asked for goes on. Raises UnavailableError if it
    is still away at the end.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        try:
            seen = await see()
        except UnavailableError:
            passed = loop.time() - begun
            if passed >= timeout:
                raise
        else:
            passed = loop.time() - begun
            if is_over(seen) or passed >= timeout:
                return seen, passed
        await asyncio.sleep(min(INTERVAL, max(timeout - passed, 0.0)))
