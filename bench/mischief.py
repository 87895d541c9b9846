"""Carries out the incidents of a run of chaos: on nodes, wire and API server, and on Services as others write them.

What is to happen when is incidents.py's. Each incident ends what it began.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from bench.cluster import Cluster, eventually
from bench.incidents import FLAPS, FREEZE, Incident
from lab.command import apifaults
from lab.errors import LabError
from purelb.names import ALLOCATED_BY, ALLOCATED_FROM, ANNOUNCING_KEYS, GOSSIP_SECRET

LISTEN: Final = 2.0
"""Seconds for which packets are recorded that are sent again later."""
PATIENCE: Final = 60.0
"""Seconds for which a command of an incident's is tried again while the API server is away."""
OTHER: Final = "servicelb"
"""The field manager that writes node addresses into statuses (as in k3s#269)."""
PROGRAM_ENDS: Final = 60.0
"""Seconds within which a program of ours has to be through."""


def act(
    lab: Cluster, services: Sequence[str], incidents: Sequence[Incident], begin: float
) -> tuple[list[Incident], list[str]]:
    """Let them happen, each on a thread.

    Returns them with the times (CLOCK_MONOTONIC) at which they really did, and why some failed, a sentence each.
    """
    happened: list[Incident] = []
    failed: list[str] = []

    def one(incident: Incident) -> None:
        time.sleep(max(0.0, begin + incident.begin - time.monotonic()))
        since = time.monotonic()
        try:
            carry_out(lab, services, incident)
        except Exception as error:  # whatever it is: a thread has nobody else to tell
            failed.append(why(incident, error))
        happened.append(Incident(incident.kind, incident.node, since, time.monotonic(), incident.choice))

    threads = [threading.Thread(target=one, args=(incident,)) for incident in incidents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(happened, key=lambda incident: incident.begin), failed


def why(incident: Incident, error: Exception) -> str:
    """A sentence about an incident that failed."""
    return f"{f'{incident.kind} {incident.node}'.strip()}: {type(error).__name__}: {error}"


def carry_out(lab: Cluster, services: Sequence[str], incident: Incident) -> None:
    """Begin it, wait for its end, and end it."""
    lasting = incident.end - incident.begin
    service = services[int(incident.choice * len(services))]
    match incident.kind:
        case "power" | "partition" | "agent-kill" | "agent-stop":
            with broken(lab, incident.node, incident.kind):
                time.sleep(lasting)
        case "flap":
            for _ in range(FLAPS):
                with broken(lab, incident.node, "power"):
                    time.sleep(lasting / FLAPS / 2)
                time.sleep(lasting / FLAPS / 2)
        case "freeze":
            lab.freeze(incident.node, FREEZE)
        case "cordon":
            persist(lab, "cordon", incident.node)
            try:
                time.sleep(lasting)
            finally:
                persist(lab, "uncordon", incident.node)
        case "api-refused" | "api-silent":
            with lab.api_away(swallow=incident.kind == "api-silent"):
                time.sleep(lasting)
        case "api-restart":
            restart_api(lab, lasting)
        case "foreign-status":
            addresses = [{"ip": info["local"]} for node in lab.nodes for info in own_addresses(lab, node)]
            patch = json.dumps({"status": {"loadBalancer": {"ingress": addresses}}})
            patching = ("patch", "service", service, "--subresource=status", "--type=merge", "-p", patch)
            persist(lab, *patching, "-n", "default", f"--field-manager={OTHER}")
        case "stripped":
            keys = (ALLOCATED_BY, ALLOCATED_FROM, *ANNOUNCING_KEYS)
            persist(lab, "annotate", "service", "-n", "default", service, *(f"{key}-" for key in keys))
        case "key-deleted":
            persist(lab, "delete", "secret", "-n", "purelb", GOSSIP_SECRET, "--ignore-not-found")
        case "replay":
            replay(lab, incident.node, lasting)
        case other:
            assert_never(other)


@contextlib.contextmanager
def broken(lab: Cluster, node: str, kind: str) -> Iterator[None]:
    """With a fault of a node's."""
    lab.fault(node, kind)
    try:
        yield
    finally:
        lab.heal(node)


def persist(lab: Cluster, *arguments: str) -> None:
    """kubectl, again and again while the API server is away. Raises NotSettled."""
    failure = ""

    def is_done() -> bool:
        nonlocal failure
        try:
            lab.kubectl(*arguments)
        except LabError as error:
            failure = str(error)
            return False
        return True

    eventually(lambda: failure, is_done, PATIENCE)


def own_addresses(lab: Cluster, node: str) -> list[dict[str, str]]:
    """A node's own IPv4 addresses, as ``ip -json`` has them: they live for ever, VIPs don't."""
    infos = lab.address_infos(node)
    return [info for info in infos if info["family"] == "inet" and info.get("valid_life_time") == 2**32 - 1][:1]


def restart_api(lab: Cluster, seconds: float) -> None:
    """Refused for half of it, then 403 for our programs while it loads its rules, as a real API server does."""
    half = {"refusing": seconds / 2, "loading": seconds / 2}
    apifaults.ask(lab.folder, "POST", "/restart", {**half, "user_agent": apifaults.PROGRAMS})
    time.sleep(seconds)


def replay(lab: Cluster, node: str, seconds: float) -> None:
    """Record a node's gossip, and send it again at the end from a host that has no key. Raises LabError."""
    program = (sys.executable, "-m", "bench.replayer")
    begin = time.monotonic()
    recorded = printed(lab.spaces.start(node, *program, "record", f"{LISTEN}"))
    if not recorded.strip():
        raise LabError(f"no gossip was heard on {node}")
    file = lab.scratch / f"packets-{uuid.uuid4()}"
    file.write_text(recorded)
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    printed(lab.spaces.start("client", *program, "send", str(file)))


def printed(process: subprocess.Popen[str], seconds: float = PROGRAM_ENDS) -> str:
    """What a program printed until it ended well. Raises LabError."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise LabError(f"{process.args!r} has not ended after {seconds:g} s") from error
    if process.returncode != 0:
        raise LabError(f"{process.args!r} ended with exit code {process.returncode}")
    return output
