"""Asks programs for their state, and gathers a support bundle. It reads a clock, to wait so long and no longer."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from kubectl_purelb.answers import Answer
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.bundle import Bundle, written
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.commands.election import election
from kubectl_purelb.commands.events import events
from kubectl_purelb.commands.nodes import nodes
from kubectl_purelb.commands.pools import pools
from kubectl_purelb.commands.services import services
from kubectl_purelb.commands.state import state
from kubectl_purelb.commands.status import status
from kubectl_purelb.commands.validate import validate
from kubectl_purelb.commands.version import version
from kubectl_purelb.kubectl import command_line, output_of
from kubectl_purelb.pods import Pod, chosen
from kubectl_purelb.reading import (
    BUNDLED,
    read_all_events,
    read_configuration,
    read_endpoints,
    read_objects,
    read_pods,
)
from kubectl_purelb.states import SCRIPT, State, read_state, time_of
from kubectl_purelb.validation.objects import gathered
from purelb.errors import SettingsError
from purelb.kube import Kube

PATIENCE: Final = 15.0
"""Seconds for a program to write its state."""
LOOK: Final = 0.3
KUBECTL: Final = 30.0
"""Seconds for one kubectl."""
AT_ONCE: Final = 8
"""Pods that are asked at a time: one whose node is gone is waited for, and there may be hundreds."""
LINES: Final = 20_000
"""Of a log."""


async def tell_state(kube: Kube, cluster: Cluster, arguments: Arguments) -> Answer:
    """Have one program, or each allocator, write its state, and show it. Raises SettingsError and KubeError."""
    pods = chosen(await read_pods(kube, cluster.namespace), arguments.subject)
    return await states_of(pods, cluster.namespace, arguments)


async def states_of(pods: Sequence[Pod], namespace: str, arguments: Arguments) -> Answer:
    """Where one doesn't answer, as its node is gone, the others' are told. Raises SettingsError if none does."""
    found, silent = dict[str, State](), dict[str, str]()
    for pod in pods:
        try:
            found[pod.name] = await _state_of(pod, namespace, arguments)
        except SettingsError as error:
            silent[pod.name] = str(error)
    if not found:
        raise SettingsError("; ".join(dict.fromkeys(silent.values())))
    return state(found, silent)


async def _state_of(pod: Pod, namespace: str, arguments: Arguments) -> State:
    """Raises SettingsError where it doesn't answer."""
    where = "-n", namespace, pod.name, "-c", pod.component
    logs = command_line(arguments, "logs", *where, "--since=1m")
    before = time_of(await output_of(logs, KUBECTL))
    asked = await output_of(command_line(arguments, "exec", *where, "--", "python3", "-c", SCRIPT), KUBECTL)
    if asked.strip() != "asked":
        raise SettingsError(f"the program in {pod.name} is of a version that doesn't tell its state")
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while loop.time() < until:
        log = await output_of(logs, KUBECTL)
        if time_of(log) > before and (found := read_state(log)) is not None:
            return found
        await asyncio.sleep(LOOK)
    raise SettingsError(f"the program in {pod.name} did not write its state within {PATIENCE:g} s")


async def make_bundle(kube: Kube, cluster: Cluster, arguments: Arguments, own: str, now: datetime.datetime) -> Answer:
    """Gather what can be had, and write it to a file of this machine. Raises SettingsError where that can't be."""
    bundle, folder = Bundle(), f"purelb-support-{now:%Y%m%d-%H%M%S}"
    path = Path(arguments.file) if arguments.file else Path(f"{folder}.tar.gz")
    if path.exists():
        raise SettingsError(f"{path} is there already")
    for name, answer in (
        ("status", partial(status, cluster, now)),
        ("nodes", partial(nodes, cluster)),
        ("pools", partial(pools, cluster)),
        ("services", partial(services, cluster, None)),
        ("version", partial(version, cluster, own)),
    ):
        bundle.answered(name, answer)
    await bundle.collect("answers/events.json", lambda: _document(_events(kube)))
    await bundle.collect("answers/election.json", lambda: _document(_election(kube, cluster)))
    await bundle.collect("answers/validate.json", lambda: _document(_validation(kube, cluster)))
    for name, kind in BUNDLED.items():
        await bundle.collect(f"objects/{name}.json", partial(read_objects, kube, kind, cluster.namespace))
    await _add_programs(bundle, kube, cluster, arguments)
    return written(bundle, path, folder, now.timestamp())


async def _document(answer: Awaitable[Answer]) -> Any:
    return (await answer).document


async def _events(kube: Kube) -> Answer:
    return events(await read_all_events(kube, None))


async def _election(kube: Kube, cluster: Cluster) -> Answer:
    return election(cluster, (await read_endpoints(kube)).of)


async def _validation(kube: Kube, cluster: Cluster) -> Answer:
    subnets = cluster.gathering.on if cluster.gathering is not None else None
    return validate(gathered(await read_configuration(kube), subnets), is_strict=False)


async def _add_programs(bundle: Bundle, kube: Kube, cluster: Cluster, arguments: Arguments) -> None:
    """Logs and states of all that runs."""
    pods: tuple[Pod, ...] = ()

    async def listed() -> list[dict[str, Any]]:
        nonlocal pods
        pods = await read_pods(kube, cluster.namespace)
        return [{"name": one.name, "node": one.node, "restarts": one.restarts} for one in pods]

    await bundle.collect("answers/pods.json", listed)
    await add_pods(bundle, pods, cluster.namespace, arguments)


async def add_pods(bundle: Bundle, pods: Sequence[Pod], namespace: str, arguments: Arguments) -> None:
    """The logs of these pods, and the states of those that run."""
    free = asyncio.Semaphore(AT_ONCE)

    async def add(pod: Pod) -> None:
        async with free:
            await _add_pod(bundle, pod, namespace, arguments)

    async with asyncio.TaskGroup() as adding:
        for pod in pods:
            adding.create_task(add(pod))


async def _add_pod(bundle: Bundle, pod: Pod, namespace: str, arguments: Arguments) -> None:
    async def log(*more: str) -> str:
        what = "logs", "-n", namespace, pod.name, "-c", pod.component, "--timestamps", f"--tail={LINES}"
        return await output_of(command_line(arguments, *what, *more), KUBECTL)

    if pod.is_running:
        await bundle.collect(f"states/{pod.name}.json", partial(_state_of, pod, namespace, arguments))
    await bundle.collect(f"logs/{pod.name}.log", log)
    if pod.restarts:
        await bundle.collect(f"logs/{pod.name}.previous.log", partial(log, "--previous"))
