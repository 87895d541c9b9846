"""A lab whose programs are stand-ins (standin.yaml), and what its tests ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.system.conftest import LabUnderTest, running_lab

STANDIN: Final = Path(__file__).parent / "standin.yaml"
MASTER: Final = "tiny-cilium-master-188-1.k8s.tcinternal"
WORKER11: Final = "tiny-cilium-worker-188-11.k8s.tcinternal"
WORKER12: Final = "tiny-cilium-worker-188-12.k8s.tcinternal"


@contextmanager
def standins() -> Iterator[LabUnderTest]:
    """One lab for all tests of a module, each of which leaves it as it was."""
    with running_lab("--manifest", str(STANDIN), "--node-grace", "3") as lab:
        yield lab


def pods(lab: LabUnderTest, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.hosts.get("pods", "-n", "purelb", "-l", f"app={app}")["items"]
    return found


def agent_on(lab: LabUnderTest, node: str) -> dict[str, Any]:
    return next(pod for pod in pods(lab, "agent") if pod["spec"].get("nodeName") == node)


def is_ready(obj: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in obj["status"].get("conditions", ()))


def all_ready(lab: LabUnderTest, app: str, count: int) -> bool:
    found = pods(lab, app)
    return len(found) == count and all(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in found)


def curl(lab: LabUnderTest, host: str, url: str) -> str:
    return lab.hosts.run(host, ["curl", "-sS", "--max-time", "2", url]).stdout


def reaches(lab: LabUnderTest, address: str) -> bool:
    """Whether the client reaches that address."""
    return lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", address]).returncode == 0
