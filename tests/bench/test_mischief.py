"""Incidents that fail are told, and end what they began."""

from __future__ import annotations

from bench.cluster import Cluster
from bench.incidents import Incident
from bench.mischief import act
from lab.errors import LabError


class Paper(Cluster):
    """A lab on paper."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def fault(self, target: str, kind: str, subject: str | None = None) -> float:
        if target == "gone":
            raise LabError("there is no such node")
        self.told.append(f"{kind} {target}")
        return 0.0

    def heal(self, target: str, kind: str | None = None) -> None:
        self.told.append(f"heal {target}")


def test_an_incident_that_fails_is_told_and_the_others_happen() -> None:
    lab = Paper()
    incidents = [Incident("power", "gone", 0.0, 0.01), Incident("partition", "a", 0.0, 0.01)]

    happened, failed = act(lab, {"web": "10.31.64.1"}, incidents, begin=0.0)

    assert {one.kind for one in happened} == {"power", "partition"}
    assert failed == ["power gone: LabError: there is no such node"]
    assert lab.told == ["partition a", "heal a"]
