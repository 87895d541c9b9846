"""Incidents that fail are told, and end what they began."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.cluster import Cluster
from bench.incidents import Incident
from bench.mischief import act, printed
from lab.errors import LabError


class Paper(Cluster):
    """A lab on paper."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def fault(self, node: str, kind: str) -> float:
        if node == "gone":
            raise LabError("there is no such node")
        self.told.append(f"{kind} {node}")
        return 0.0

    def heal(self, node: str) -> None:
        self.told.append(f"heal {node}")


def test_an_incident_that_fails_is_told_and_the_others_happen() -> None:
    lab = Paper()
    incidents = [Incident("power", "gone", 0.0, 0.01), Incident("partition", "a", 0.0, 0.01)]

    happened, failed = act(lab, ["web"], incidents, begin=0.0)

    assert {one.kind for one in happened} == {"power", "partition"}
    assert failed == ["power gone: LabError: there is no such node"]
    assert lab.told == ["partition a", "heal a"]


def run(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_program_counts_only_if_it_ended_well() -> None:
    assert printed(run("print('packets')")) == "packets\n"
    with pytest.raises(LabError, match="exit code 3"):
        printed(run("raise SystemExit(3)"))


def test_a_program_that_does_not_end_is_killed() -> None:
    endless = run("import time; time.sleep(600)")

    with pytest.raises(LabError, match="has not ended"):
        printed(endless, seconds=0.2)
    assert endless.returncode == -9
