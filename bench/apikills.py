"""The API server is killed and started again, at random moments under load: how soon is what is new announced?

A lab with the programs as they are deployed, a steady stream of new Services, and changes to others that are none of
ours. A Service is announced when a node's kernel has its address; an outage that it meets counts for nothing: it waits
from the return of the API server that came last. A real server is killed by SIGKILL, and back when it says that it is
ready; the embedded one resets all connections, refuses new ones, and then forbids our programs everything for a while,
as a real one does until it has read its roles. Prints JSON lines. Seeded: the same seed gives the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import math
import os
import random
import shutil
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from bench.busyapi import Churn, create_services
from bench.cluster import Cluster, NotSettled, cluster, eventually, is_pooled, service
from bench.mischief import restart_api
from bench.report import event, figure
from bench.wire import AddressWatch, Change, Span
from purelb.errors import ConflictError, KubeError
from purelb.kube import Kube, services_path

BENCH: Final = "apikills"
OTHERS: Final = 100
"""Services that are none of ours."""
CHANGES: Final = 20.0
"""Changes to them, per second."""
NEW: Final = 2.0
"""Services of ours that are created, per second."""
CALM: Final = (2.0, 8.0)
"""Seconds between an API server's return and its next end, and before the first one."""
AWAY: Final = (0.5, 6.0)
"""Seconds for which it is away; a real one needs some more until it's ready."""
RETURNS: Final = 60.0
"""Seconds within which a real one must be ready."""
WITHIN: Final = 5.0
"""Seconds after the return within which all that is new must be announced."""
WORST: Final = 5
"""How many of those that waited longest are told one by one."""
LAST: Final = 30.0
"""Seconds for which the last ones are waited for."""


# --- load ------------------------------------------------------------------------------------------------------------


class Stream:
    """Creates Services at a steady rate on a thread of its own; what the API server doesn't take is tried again."""

    def __init__(self, folder: Path) -> None:
        self.created: dict[str, float] = {}
        """When each was, monotonic seconds."""
        self._folder = folder
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="stream")

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    async def _run(self) -> None:
        async with Kube(self._folder / "kubeconfig", user_agent="bench") as kube, asyncio.TaskGroup() as tasks:
            due, number = time.monotonic(), 0
            while not self._end.is_set():
                tasks.create_task(self._create(kube, f"new-{number}"))
                due, number = due + 1 / NEW, number + 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _create(self, kube: Kube, name: str) -> None:
        while True:
            try:
                await kube.create(services_path("default"), service(name))
            except ConflictError:
                break  # an earlier try reached it, and its answer didn't reach us
            except KubeError:
                await asyncio.sleep(0.1)
            else:
                break
        self.created[name] = time.monotonic()


# --- the API server's end and return ---------------------------------------------------------------------------------


class RealServer:
    """The lab's kube-apiserver, which we end and start again; its successor is ours to end, too."""

    def __init__(self, lab: Cluster) -> None:
        self._pid, self._command = _server_of(lab.folder)
        config = yaml.safe_load((lab.folder / "kubeconfig").read_text())
        where = config["clusters"][0]["cluster"]
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(where["certificate-authority-data"]).decode()
        )
        token = config["users"][0]["user"]["token"]
        self._ready = urllib.request.Request(f"{where['server']}/readyz", headers={"Authorization": f"Bearer {token}"})
        self._log = lab.folder / "control-plane" / "kube-apiserver.log"
        self._process: subprocess.Popen[bytes] | None = None

    def outage(self, away: float) -> Span:
        """Kill it, and start it after so many seconds; from when to when it was away. Raises NotSettled."""
        down = time.monotonic()
        self._kill()
        time.sleep(away)
        with self._log.open("ab") as output:
            command = ("setpriv", "--pdeathsig", "KILL", "--", *self._command)
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        eventually("kube-apiserver is not ready again", self._is_ready, RETURNS)
        return down, time.monotonic()

    def end(self) -> None:
        """End what we started."""
        if self._process is not None:
            self._kill()

    def _kill(self) -> None:
        if self._process is None:
            os.kill(self._pid, 9)
        else:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready, timeout=2, context=self._context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _server_of(folder: Path) -> tuple[int, list[str]]:
    """Pid and command of the kube-apiserver of the lab in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = [word.decode() for word in (process / "cmdline").read_bytes().split(b"\0")[:-1]]
            if words[:1] and words[0].endswith("/kube-apiserver") and any(str(folder) in word for word in words):
                return int(process.name), words
    raise NotSettled(f"no kube-apiserver serves the lab in {folder}")


@contextlib.contextmanager
def killer(lab: Cluster, control_plane: str) -> Iterator[RealServer | None]:
    """The real server; None: the embedded one is asked to do so itself."""
    server = RealServer(lab) if control_plane == "envtest" else None
    try:
        yield server
    finally:
        if server is not None:
            server.end()


def outages(lab: Cluster, server: RealServer | None, times: int, chance: random.Random) -> Iterator[Span]:
    """So many, each after a while."""
    for _ in range(times):
        time.sleep(chance.uniform(*CALM))
        away = chance.uniform(*AWAY)
        if server is not None:
            yield server.outage(away)
        else:
            down = time.monotonic()
            restart_api(lab, away)
            yield down, time.monotonic()


# --- what came of it -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    outages: list[Span]
    created: dict[str, float]
    """When, by Service, monotonic seconds."""
    waited: dict[str, float]
    """Seconds, likewise; endless where it was never announced."""
    restarted: dict[str, int]
    """Containers that were, by pod."""
    exceptions: list[str]
    ready_after: float
    """Seconds from the last return until every agent was ready and everything announced."""

    @property
    def never(self) -> list[str]:
        return sorted(name for name, seconds in self.waited.items() if math.isinf(seconds))

    @property
    def is_right(self) -> bool:
        worst = max(self.waited.values(), default=math.inf)
        return worst <= WITHIN and not (self.restarted or self.exceptions)


def waited(created: float, announced: float, away: Sequence[Span]) -> float:
    """For how many seconds a Service waited, since the last return that it met."""
    since = max([created, *(back for down, back in away if down <= announced and back > created)])
    return max(0.0, announced - since)


def announced(changes: Sequence[Change]) -> Mapping[str, float]:
    """When each address of our pools was on a node first."""
    first: dict[str, float] = {}
    for change in changes:
        if change.is_there and is_pooled(change.address):
            first.setdefault(change.address, change.at)
    return first


def undergo(lab: Cluster, times: int, seed: int, control_plane: str = "embedded") -> Outcome:
    """So many ends of the API server, on a lab at rest."""
    create_services(lab.folder, OTHERS)
    watch = AddressWatch(lab.spaces, lab.nodes, lab.scratch)
    with killer(lab, control_plane) as server:
        with Churn(lab.folder, OTHERS, CHANGES), Stream(lab.folder) as stream:
            time.sleep(2.0)
            away = list(outages(lab, server, times, random.Random(seed)))
            time.sleep(WITHIN)
        with contextlib.suppress(NotSettled):
            eventually("", lambda: lab.agents_ready() and not _unannounced(lab, stream, watch.changes()), LAST)
        ready_after = time.monotonic() - away[-1][1]
        changes = watch.end()
        address = _addresses(lab)
        first = announced(changes)
        times_of = {
            name: waited(at, first.get(address.get(name, ""), math.inf), away) for name, at in stream.created.items()
        }
        return Outcome(away, stream.created, times_of, _restarted(lab), lab.exceptions(), ready_after)


def _addresses(lab: Cluster) -> dict[str, str]:
    """By Service; none where it has none."""
    items = lab.get("services", "-n", "default")["items"]
    found = {one["metadata"]["name"]: one["status"].get("loadBalancer", {}).get("ingress") or [] for one in items}
    return {name: entries[0]["ip"] for name, entries in found.items() if entries}


def _unannounced(lab: Cluster, stream: Stream, changes: Sequence[Change]) -> set[str]:
    address, first = _addresses(lab), announced(changes)
    return {name for name in stream.created if address.get(name) not in first}


def _restarted(lab: Cluster) -> dict[str, int]:
    counts = {
        pod["metadata"]["name"]: sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
        for pod in lab.get("pods", "-n", "purelb")["items"]
    }
    return {name: count for name, count in counts.items() if count}


# --- the program -----------------------------------------------------------------------------------------------------


def tell(outcome: Outcome, seed: int, control_plane: str) -> bool:
    """Print everything; whether all is as it must be."""
    for down, back in outcome.outages:
        event(BENCH, away_s=round(back - down, 2), after_s=round(down - outcome.outages[0][0], 2))
    for name in sorted(outcome.waited, key=lambda one: -outcome.waited[one])[:WORST]:
        created = outcome.created[name] - outcome.outages[0][0]
        event(BENCH, service=name, created_s=round(created, 2), waited_s=round(outcome.waited[name], 2))
    told = sorted(one for one in outcome.waited.values() if not math.isinf(one))
    about = {
        "control_plane": control_plane,
        "seed": seed,
        "kills": len(outcome.outages),
        "services": len(outcome.waited),
    }
    worst = told[-1] if told else None
    figure(
        BENCH,
        "a new Service until it's announced, from the API server's return at the earliest: worst",
        worst,
        "s",
        f"<= {WITHIN:g}",
        worst is not None and worst <= WITHIN and not outcome.never,
        median=round(statistics.median(told), 3) if told else None,
        **about,
    )
    for what, found in (
        ("Services that were never announced", outcome.never),
        ("pods that restarted", sorted(outcome.restarted)),
        ("exceptions in logs", outcome.exceptions),
    ):
        figure(BENCH, what, len(found), "", "0", not found, found=found[:5], **about)
    what = "from the last return until every agent is ready and all is announced"
    figure(BENCH, what, outcome.ready_after, "s", "reported", None)
    return outcome.is_right


def main() -> int:
    """Exit code 1 when something isn't as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, help="default 10")
    parser.add_argument("--quick", action="store_true", help="three times")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="a folder to which the logs are copied")
    parser.add_argument("--control-plane", choices=("embedded", "envtest"), default="embedded")
    arguments = parser.parse_args()
    times = arguments.times or (3 if arguments.quick else 10)
    with cluster(arguments.nodes, arguments.control_plane) as lab:
        outcome = undergo(lab, times, arguments.seed, arguments.control_plane)
        if arguments.keep is not None:
            shutil.copytree(lab.folder / "logs", arguments.keep, dirs_exist_ok=True)
    return 0 if tell(outcome, arguments.seed, arguments.control_plane) else 1


if __name__ == "__main__":
    sys.exit(main())
