"""Starts a lab, installs PureLB in it as a user does, and ends it again.

Owns the way from a command to a running supervisor and back; what a lab consists of is the supervisor's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from lab.command import control
from lab.command.kubectl import run_kubectl
from lab.errors import LabError, StartFailed
from lab.machine.processes import REPOSITORY, python_path
from lab.settings import Settings, command
from purelb.names import PAGE_PORT

MANIFEST = REPOSITORY / "manifests" / "purelb-complete.yaml"
ECMP_MANIFEST = REPOSITORY / "manifests" / "overlays" / "ecmp"
STATUS_PAGE = {"PURELB_PAGE_PORT": str(PAGE_PORT), "PURELB_PAGE_HOST": ""}
_READY_SECONDS = 60.0
_DOWN_SECONDS = 10.0

Say = Callable[[str], None]


def start_lab(folder: Path, settings: Settings, say: Say) -> None:
    """Start the supervisor and wait until it is ready. Raises StartFailed, LabRunning, NotAllowed."""
    folder.mkdir(parents=True, exist_ok=True)
    readable, writable = os.pipe()
    log = folder / "supervisor.log"
    try:
        with log.open("wb") as output:
            subprocess.Popen(
                command(settings, writable),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writable,),
                start_new_session=True,
                env={**os.environ, **python_path()},
            ).wait()
    finally:
        os.close(writable)
    with os.fdopen(readable) as lines:
        for line in lines:
            match json.loads(line):
                case {"progress": text}:
                    say(text)
                case {"error": reason}:
                    raise StartFailed(reason)
                case {"ready": _}:
                    return
    raise StartFailed(f"the lab's supervisor ended early; see {log}")


def install(folder: Path, manifest: Path, say: Say, *, placement: str = "hash") -> None:
    """`kubectl apply` as a user does it, and wait until everything runs. Raises StartFailed.

    A folder with a kustomization is applied as such. In the manifest that is shipped the allocator is told which rule
    of ``placement`` its LBNodeAgent is to have: the article's PureLB, whose owners the lab shows, knows the hash rule.
    There it also has its status page, on every address of its pod.
    """
    if not manifest.exists():
        raise StartFailed(f"{manifest} does not exist")
    option = "-k" if (manifest / "kustomization.yaml").exists() else "-f"
    say(f"kubectl apply {option} {manifest.name}")
    if manifest == MANIFEST:
        environment = {"PURELB_PLACEMENT": placement, **STATUS_PAGE}
        text = with_environment(manifest.read_text(), "allocator", environment)
        done = run_kubectl(folder, ["apply", "-f", "-"], text)
    else:
        done = run_kubectl(folder, ["apply", option, str(manifest)])
    if done.returncode != 0:
        raise StartFailed(f"kubectl apply {option} {manifest.name}: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        say(f"  {line}")
    control.request(folder, "wait", _READY_SECONDS + 10, namespace="purelb", timeout=_READY_SECONDS)


def with_environment(text: str, program: str, environment: Mapping[str, str]) -> str:
    """Manifests in which the environment of a program, the allocator or the lbnodeagent, has these too."""
    objects = [body for body in yaml.safe_load_all(text) if body]
    for body in objects:
        if body["kind"] in ("Deployment", "DaemonSet") and body["metadata"]["name"] == program:
            for container in body["spec"]["template"]["spec"]["containers"]:
                if container["name"] == program:
                    container["env"] += [{"name": name, "value": value} for name, value in environment.items()]
    return yaml.safe_dump_all(objects, sort_keys=False)


def stop_lab(folder: Path) -> None:
    """End the lab and wait until its last process is gone. Raises NoLab."""
    with control.connect(folder) as connection:
        pid = control.supervisor_pid(connection)
    supervisor = os.pidfd_open(pid)
    try:
        try:
            control.request(folder, "down", _DOWN_SECONDS)
        except LabError:
            signal.pidfd_send_signal(supervisor, signal.SIGTERM)
        if not _ends(supervisor, _DOWN_SECONDS):
            signal.pidfd_send_signal(supervisor, signal.SIGKILL)
            if not _ends(supervisor, _DOWN_SECONDS):
                raise LabError(f"process {pid} does not end")
    finally:
        os.close(supervisor)


def _ends(pidfd: int, timeout: float) -> bool:
    """Whether the process ends within `timeout` seconds; the first of a PID namespace ends as its last."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
