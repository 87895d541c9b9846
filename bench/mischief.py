"""Carries out the incidents of a run of chaos: on nodes, wire and API server, and on Services as others write them.

What is to happen when is incidents.py's. Each incident ends what it began.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, assert_never
from urllib.request import Request, urlopen

from bench.cluster import Cluster, eventually
from bench.incidents import FLAPS, FREEZE, Incident
from lab.errors import LabError
from purelb.names import ALLOCATED_BY, ALLOCATED_FROM, ANNOUNCING_KEYS

LISTEN: Final = 2.0
"""Seconds for which packets are recorded that are sent again later."""
PATIENCE: Final = 60.0
"""Seconds for which a command of an incident's is tried again while the API server is away."""
OTHER: Final = "servicelb"
"""The field manager that writes node addresses into statuses (as in k3s#269)."""
SECRET: Final = "purelb-gossip"


def act(lab: Cluster, services: Sequence[str], incidents: Sequence[Incident], begin: float) -> list[Incident]:
    """Let them happen, each on a thread; returns them with the times (CLOCK_MONOTONIC) at which they really did."""
    happened: list[Incident] = []

    def one(incident: Incident) -> None:
        time.sleep(max(0.0, begin + incident.begin - time.monotonic()))
        since = time.monotonic()
        carry_out(lab, services, incident)
        happened.append(Incident(incident.kind, incident.node, since, time.monotonic(), incident.choice))

    threads = [threading.Thread(target=one, args=(incident,)) for incident in incidents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(happened, key=lambda incident: incident.begin)


def carry_out(lab: Cluster, services: Sequence[str], incident: Incident) -> None:
    """Begin it, wait for its end, and end it."""
    lasting = incident.end - incident.begin
    service = services[int(incident.choice * len(services))]
    match incident.kind:
        case "power" | "partition" | "agent-kill" | "agent-stop":
            lab.fault(incident.node, incident.kind)
            time.sleep(lasting)
            lab.heal(incident.node)
        case "flap":
            for _ in range(FLAPS):
                lab.fault(incident.node, "power")
                time.sleep(lasting / FLAPS / 2)
                lab.heal(incident.node)
                time.sleep(lasting / FLAPS / 2)
        case "freeze":
            lab.freeze(incident.node, FREEZE)
        case "cordon":
            persist(lab, "cordon", incident.node)
            time.sleep(lasting)
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
            persist(lab, "delete", "secret", "-n", "purelb", SECRET, "--ignore-not-found")
        case "replay":
            replay(lab, incident.node, lasting)
        case other:
            assert_never(other)


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
    admin = (Path(lab.folder) / "api-faults.url").read_text().strip()
    with lab.api_away():
        time.sleep(seconds / 2)
        fault = {"kind": "status", "code": 403, "user_agent": "purelb"}
        asked = Request(f"{admin}/faults", json.dumps(fault).encode(), method="POST")
        with urlopen(asked, timeout=10) as answer:
            number = json.load(answer)["id"]
    time.sleep(seconds / 2)
    with urlopen(Request(f"{admin}/faults/{number}", method="DELETE"), timeout=10):
        pass


def replay(lab: Cluster, node: str, seconds: float) -> None:
    """Record a node's gossip, and send it again at the end from a host that has no key."""
    program = (sys.executable, "-m", "bench.replayer")
    recorded, _ = lab.spaces.start(node, *program, "record", f"{LISTEN}").communicate(timeout=60)
    file = lab.scratch / f"packets-{uuid.uuid4()}"
    file.write_text(recorded)
    time.sleep(max(0.0, seconds - LISTEN))
    lab.spaces.start("client", *program, "send", str(file)).communicate(timeout=60)
