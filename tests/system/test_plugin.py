"""kubectl purelb in a lab: what it says is what is on the wire, before a node fails and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.command.kubectl import kubectl_environment
from tests.system.agentlab import (
    MASTER,
    NODES,
    WORKER11,
    WORKER12,
    AgentLab,
    endpoint_slice,
    service,
    three_nodes,
)
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        assert eventually(lambda: {node["standing"] for node in asked(lab, "nodes")} == {"Serving"}, seconds=60)
        yield lab


def purelb(agents: AgentLab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """kubectl with its plugin, as an operator has them on the PATH."""
    environment = kubectl_environment(agents.lab.folder)
    programs = Path(sys.executable).parent
    environment["PATH"] = f"{programs}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.run(
        [str(programs / "kubectl"), "purelb", *arguments], env=environment, text=True, capture_output=True, check=False
    )


def asked(agents: AgentLab, *arguments: str) -> Any:
    return json.loads(purelb(agents, *arguments, "-o", "json").stdout)


def place(agents: AgentLab, name: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in asked(agents, "services") if one["name"] == name)
    return found


def test_what_it_says_of_a_service_is_what_its_node_has(agents: AgentLab) -> None:
    agents.apply(service("plug", "wire", ip="10.31.188.90"), endpoint_slice("plug", MASTER, WORKER11, WORKER12))
    assert eventually(lambda: place(agents, "plug")["state"] == "Announced")

    said = place(agents, "plug")
    assert "10.31.188.90" in agents.hosts.output(said["node"], "ip", "addr", "show", said["interface"])
    (held,) = asked(agents, "vip", "10.31.188.90")
    assert (held["service"], held["node"]) == ("default/plug", said["node"])
    assert held["since"] is not None
    done = purelb(agents, "inspect", "plug")
    assert (done.returncode, done.stdout.count("✓")) == (0, 6), done.stdout
    assert eventually(lambda: purelb(agents, "status").returncode == 0), purelb(agents, "status").stdout
    assert purelb(agents, "status").stdout.splitlines()[0] == "PureLB in namespace purelb: healthy"


def test_a_stranger_that_has_an_address_already_is_named(agents: AgentLab) -> None:
    agents.lab.must("fault", "wire", "answer", "10.31.188.91")
    try:
        agents.apply(service("taken", "wire", ip="10.31.188.91"))
        assert eventually(lambda: "✗ Announced: Another host, 52:54:00" in purelb(agents, "inspect", "taken").stdout)
        done = purelb(agents, "inspect", "taken")
        assert done.returncode == 1
        assert "What to do: find that host by its MAC" in done.stdout
    finally:
        agents.lab.must("heal", "wire")
        agents.delete("taken")


def test_a_node_that_fails_is_named_with_its_reason_and_its_addresses_are_elsewhere(agents: AgentLab) -> None:
    before = place(agents, "plug")["node"]
    agents.lab.must("fault", before, "proxy-frozen")
    try:
        assert eventually(lambda: purelb(agents, "nodes").returncode == 1, seconds=30)
        done = purelb(agents, "status")
        assert (done.returncode, done.stderr) == (1, "")
        assert f"✗ node {before}: its kube-proxy doesn't answer" in done.stdout
        assert eventually(lambda: place(agents, "plug")["node"] in set(NODES) - {before})
    finally:
        agents.lab.must("heal", before)
    assert eventually(lambda: purelb(agents, "status").returncode == 0, seconds=30), purelb(agents, "status").stdout


def test_what_it_foresees_of_a_death_is_what_happens(agents: AgentLab) -> None:
    numbers = range(100, 106)
    agents.apply(*(service(f"many-{number}", "wire", ip=f"10.31.188.{number}") for number in numbers))
    assert eventually(lambda: all(place(agents, f"many-{number}")["state"] == "Announced" for number in numbers))
    for entry in asked(agents, "election"):
        (name,) = entry["services"]
        assert asked(agents, "vip", entry["address"])[0]["node"] == entry["owner"], name

    foreseen = asked(agents, "election", "--simulate-death", WORKER12)
    assert (foreseen["nowhere"], bool(foreseen["moves"])) == (0, True)
    agents.lab.must("fault", WORKER12, "power")
    try:
        for move in foreseen["moves"]:
            assert eventually(lambda move=move: move["next"] in agents.holders(move["address"])), move  # type: ignore[misc]
    finally:
        agents.lab.must("heal", WORKER12)
