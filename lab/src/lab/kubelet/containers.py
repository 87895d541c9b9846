"""One container of a pod: its program, its restarts, its probes.

Owns the life of one program from first start to last stop. What the program is the caller says; the status
it has is told through `changed`. Must not touch the API.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from lab.api.objects import Object, now
from lab.errors import LabError
from lab.kubelet.environment import MissingReference
from lab.kubelet.probes import Probe, Target, watch
from lab.kubelet.status import ContainerStatus, Running, Terminated, Waiting
from lab.machine.processes import Child, Program, start
from purelb.errors import KubeError

# Far shorter than kubelet's 10 s to 5 min: an experiment must not wait for it.
_FIRST_BACKOFF, _LAST_BACKOFF = 0.5, 10.0  # seconds
_STEADY_SECONDS = 30.0  # a program that ran this long starts without back-off again


class ContainerRunner:
    """Runs a container until it is stopped. `gate` must be set for it to start (faults close it)."""

    def __init__(
        self,
        spec: Object,
        restart_policy: str,
        make_program: Callable[[int], Awaitable[Program]],
        target: Callable[[], Target],
        gate: asyncio.Event,
        changed: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._restart_policy = restart_policy
        self._make_program = make_program  # restart number -> program; raises MissingReference
        self._target = target
        self._gate = gate
        self._changed = changed
        self._child: Child | None = None
        self._program: Program | None = None
        self._stopping = False
        self.status = ContainerStatus(spec["name"], spec.get("image", ""), Waiting("ContainerCreating"))

    async def run(self) -> None:
        """Start the program, and again after each end as the restart policy says; ends with `stop`."""
        backoff = _FIRST_BACKOFF
        loop = asyncio.get_running_loop()
        while not self._stopping:
            await self._gate.wait()
            try:
                program = await self._make_program(self.status.restarts)
            except (MissingReference, LabError, KubeError) as missing:
                self._update(state=Waiting("CreateContainerConfigError", str(missing)))
                await asyncio.sleep(1.0)
                continue
            began = loop.time()
            code = await self._run_once(program)
            if self._stopping or not self._restarts_after(code):
                return
            if loop.time() - began > _STEADY_SECONDS:
                backoff = _FIRST_BACKOFF
            self._update(state=Waiting("CrashLoopBackOff", f"back-off {backoff:g}s restarting failed container"))
            await asyncio.sleep(backoff)
            backoff = min(_LAST_BACKOFF, backoff * 2)
            self._update(restarts=self.status.restarts + 1)

    def _restarts_after(self, code: int) -> bool:
        return self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and code != 0)

    async def _run_once(self, program: Program) -> int:
        self._child, self._program = await start(program), program
        since = now()
        has_startup, has_readiness = "startupProbe" in self._spec, "readinessProbe" in self._spec
        self._update(state=Running(since), started=not has_startup, ready=not (has_startup or has_readiness))
        try:
            async with asyncio.TaskGroup() as tasks:
                probes = tasks.create_task(self._probe(program))
                code = await self._child.wait()
                probes.cancel()
        finally:
            self._child.kill()  # itself when we are cancelled, and what it started and left behind
        ended = Terminated(code, since, now())
        self._update(state=ended, last=ended, started=False, ready=False)
        return code

    async def _probe(self, program: Program) -> None:
        async def run_command(argv: list[str]) -> int:
            return await _run_beside(program, "probe", argv)

        target = self._target()
        startup = Probe.parse(self._spec.get("startupProbe"))
        readiness = Probe.parse(self._spec.get("readinessProbe"))
        liveness = Probe.parse(self._spec.get("livenessProbe"))
        if startup is not None:
            passed = asyncio.Event()

            def on_startup(passes: bool) -> None:
                if passes:
                    passed.set()
                else:
                    self._kill()

            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(watch(startup, target, run_command, on_startup, eager=True))
                await passed.wait()
                asking.cancel()
            self._update(started=True, ready=readiness is None)
        async with asyncio.TaskGroup() as tasks:
            if readiness is not None:
                tasks.create_task(
                    watch(readiness, target, run_command, lambda ready: self._update(ready=ready), eager=True)
                )
            if liveness is not None:
                tasks.create_task(watch(liveness, target, run_command, self._on_liveness, eager=False))

    def _on_liveness(self, alive: bool) -> None:
        if not alive:
            self._kill()

    def _kill(self) -> None:
        """Of a program that fails its liveness or startup probe: what hangs does not heed SIGTERM."""
        if self._child is not None:
            self._child.kill()

    async def stop(self, grace: float) -> None:
        """End the program for good: its preStop command, SIGTERM, SIGKILL after `grace` seconds in all."""
        self._stopping = True
        if self._child is None or not self._child.is_running:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        hook = ((self._spec.get("lifecycle") or {}).get("preStop") or {}).get("exec")
        if hook and self._program is not None and grace > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await _run_beside(self._program, "preStop", hook["command"])
        await self._child.stop(max(0.0, deadline - loop.time()))

    @property
    def child(self) -> Child | None:
        """The program that runs now."""
        return self._child if self._child is not None and self._child.is_running else None

    def _update(self, **fields: Any) -> None:
        self.status = replace(self.status, **fields)
        self._changed()


async def _run_beside(program: Program, purpose: str, argv: list[str]) -> int:
    """Run a command in the program's own surroundings to its end; returns the exit code."""
    child = await start(replace(program, argv=tuple(argv), name=f"{program.name} {purpose}"))
    try:
        return await child.wait()
    finally:
        child.kill()
