"""Carries out the incidents of a run of chaos: on nodes, wire and API server, and on Services as others write them.

What is to happen when is incidents.py's. Each incident ends what it began.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, assert_never

from bench.cluster import Cluster, eventually
from bench.cluster import service as load_balancer
from bench.incidents import FREEZE, Incident
from lab.command import apifaults
from lab.errors import LabError
from lab.settings import CLUSTER, WIRE
from lab.wire.topology import topology
from purelb.names import ANNOUNCING_IPV4, ANNOUNCING_IPV6, GOSSIP_SECRET

TENANTS: Final = "tenants"
"""The Service that a tenant makes."""
CODES: Final = ("401", "403", "404", "409", "410", "429", "500", "503")
"""With which an API server says no."""
PATIENCE: Final = 60.0
"""Seconds for which a command of an incident's is tried again while the API server is away."""


def act(
    lab: Cluster, services: Mapping[str, str], incidents: Sequence[Incident], begin: float
) -> tuple[list[Incident], list[str]]:
    """Let them happen, each on a thread; ``services``: the VIPs by name.

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


def carry_out(lab: Cluster, services: Mapping[str, str], incident: Incident) -> None:
    """Begin it, wait for its end, and end it."""
    lasting = incident.end - incident.begin
    service = incident.of(list(services))
    match incident.kind:
        case (
            "power"
            | "flap"
            | "port-dead"
            | "partition"
            | "deaf"
            | "mute"
            | "agent-kill"
            | "agent-stop"
            | "proxy-late"
            | "proxy-frozen"
            | "proxy-dead"
        ):
            with broken(lab, incident.node, incident.kind):
                time.sleep(lasting)
        case "deaf-to-one":
            peer = incident.of([node for node in lab.nodes if node != incident.node])
            with broken(lab, incident.node, "deaf", peer):
                time.sleep(lasting)
        case "freeze":
            lab.freeze(incident.node, FREEZE)
        case "cordon" | "drain":
            meddle(lab, incident.node, incident.kind, None, lasting)
        case "api-refused" | "api-silent":
            with lab.api_away(swallow=incident.kind == "api-silent"):
                time.sleep(lasting)
        case "api-restart":
            restart_api(lab, lasting)
        case (
            "api-slow"
            | "api-half-open"
            | "api-down"
            | "api-reset"
            | "api-hang"
            | "api-read-only"
            | "api-html"
            | "api-redirect"
            | "api-broken-line"
            | "api-cut-line"
            | "api-expire-watches"
            | "api-quota"
            | "api-admission"
            | "api-rotate"
        ):
            trouble_api(lab, incident.kind.removeprefix("api-"), lasting)
        case "api-code":
            trouble_api(lab, incident.of(CODES), lasting)
        case "api-go-back":
            apifaults.begin(lab.folder, "remember", None)
            time.sleep(lasting)
            apifaults.begin(lab.folder, "go-back", None)
        case "foreign-status":
            meddle(lab, CLUSTER, "servicelb", f"default/{service}", lasting)
        case "stripped":
            meddle(lab, CLUSTER, "operator", f"default/{service}", lasting)
        case "tenant":
            trespass(lab, service, services[service], lasting)
        case "key-deleted":
            persist(lambda: lab.kubectl("delete", "secret", "-n", "purelb", GOSSIP_SECRET, "--ignore-not-found"))
        case "replay":
            replay(lab, incident.node, lasting)
        case "gossip-flood":
            visit(lab, "gossip-flood", None, lasting)
        case "arp-flood" | "answer":
            visit(lab, incident.kind, services[service], lasting)
        case other:
            assert_never(other)


@contextlib.contextmanager
def broken(lab: Cluster, node: str, kind: str, subject: str | None = None) -> Iterator[None]:
    """With a fault of a node's."""
    lab.fault(node, kind, subject)
    try:
        yield
    finally:
        lab.heal(node)


def meddle(lab: Cluster, target: str, kind: str, subject: str | None, seconds: float) -> None:
    """A fault that is written to the API server, which may be away when it begins, and when it ends."""
    persist(lambda: lab.fault(target, kind, subject))
    try:
        time.sleep(seconds)
    finally:
        persist(lambda: lab.heal(target, kind))


def persist(command: Callable[[], object]) -> None:
    """Again and again while the API server is away. Raises NotSettled."""
    failure = ""

    def is_done() -> bool:
        nonlocal failure
        try:
            command()
        except LabError as error:
            failure = str(error)
            return False
        return True

    eventually(lambda: failure, is_done, PATIENCE)


def restart_api(lab: Cluster, seconds: float) -> None:
    """Refused for half of it, then 403 for our programs while it loads its rules, as a real API server does."""
    half = {"refusing": seconds / 2, "loading": seconds / 2}
    apifaults.ask(lab.folder, "POST", "/restart", {**half, "user_agent": apifaults.PROGRAMS})
    time.sleep(seconds)


def trouble_api(lab: Cluster, kind: str, seconds: float) -> None:
    """A fault that the API server itself has, by the lab's name for it."""
    apifaults.begin(lab.folder, kind, None)
    try:
        time.sleep(seconds)
    finally:
        apifaults.end(lab.folder)


def trespass(lab: Cluster, name: str, vip: str, seconds: float) -> None:
    """Who may edit the namespace wants a node's own address, and says that somebody else announces a Service."""
    nodes_own = next(str(node.ipv4.ip) for node in topology(len(lab.nodes)).nodes if node.ipv4 is not None)
    wish = json.dumps(load_balancer(TENANTS, nodes_own))
    key = ANNOUNCING_IPV4 if ip_address(vip).version == 4 else ANNOUNCING_IPV6
    kubeconfig = ("--kubeconfig", str(lab.folder / "tenant-default.kubeconfig"))

    def act() -> None:
        lab.fault(CLUSTER, "tenant", "default")
        lab.kubectl("apply", *kubeconfig, "-f", "-", stdin=wish)
        lab.kubectl("annotate", *kubeconfig, "-n", "default", "service", name, f"{key}={TENANTS},eth0", "--overwrite")

    try:
        persist(act)
        time.sleep(seconds)
    finally:
        persist(lambda: lab.kubectl("delete", "service", "-n", "default", TENANTS, "--ignore-not-found"))
        persist(lambda: lab.heal(CLUSTER, "tenant"))


def visit(lab: Cluster, kind: str, address: str | None, seconds: float) -> None:
    """A stranger on the wire."""
    lab.fault(WIRE, kind, address)
    try:
        time.sleep(seconds)
    finally:
        lab.heal(WIRE)


def replay(lab: Cluster, node: str, seconds: float) -> None:
    """Record a node's gossip, and send it again at the end from a host that has no key. Raises LabError."""
    begin = time.monotonic()
    lab.fault(WIRE, "record", node)
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    lab.fault(WIRE, "replay")
