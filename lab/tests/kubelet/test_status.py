"""A Pod's status follows from its containers."""

from __future__ import annotations

import pytest

from lab.kubelet.status import (
    ContainerState,
    ContainerStatus,
    PodPlace,
    Running,
    Terminated,
    Waiting,
    phase,
    pod_status,
)

PLACE = PodPlace(("10.0.1.40", "fd00:10:0:1::40"), ("10.31.188.11", "fd00:10:31::188:11"), "t0")


def _container(state: ContainerState, *, ready: bool = False, restarts: int = 0) -> ContainerStatus:
    return ContainerStatus("c", "purelb-x:1", state, ready=ready, restarts=restarts)


@pytest.mark.parametrize(
    ("policy", "state", "restarts", "expected"),
    [
        ("Always", Waiting("ContainerCreating"), 0, "Pending"),
        ("Always", Running("t"), 0, "Running"),
        ("Always", Waiting("CrashLoopBackOff"), 2, "Running"),
        ("Always", Terminated(0, "t", "t"), 0, "Running"),
        ("Never", Terminated(0, "t", "t"), 0, "Succeeded"),
        ("Never", Terminated(1, "t", "t"), 0, "Failed"),
        ("OnFailure", Terminated(1, "t", "t"), 0, "Running"),
    ],
)
def test_phase_follows_the_containers(policy: str, state: ContainerState, restarts: int, expected: str) -> None:
    assert phase(policy, (_container(state, restarts=restarts),)) == expected


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    ready, waiting = _container(Running("t"), ready=True), _container(Running("t"))

    def is_ready(*containers: ContainerStatus) -> str:
        status = pod_status({}, PLACE, containers, "t1", {})
        return str(next(one["status"] for one in status["conditions"] if one["type"] == "Ready"))

    assert is_ready(ready, ready) == "True"
    assert is_ready(ready, waiting) == "False"


def test_a_conditions_time_moves_only_with_the_condition() -> None:
    first = pod_status({}, PLACE, (_container(Running("t"), ready=True),), "t1", {})
    same = pod_status({}, PLACE, (_container(Running("t"), ready=True),), "t2", first)
    lost = pod_status({}, PLACE, (_container(Running("t")),), "t3", same)

    def time(status: dict[str, list[dict[str, str]]]) -> str:
        return next(one["lastTransitionTime"] for one in status["conditions"] if one["type"] == "Ready")

    assert [time(first), time(same), time(lost)] == ["t1", "t1", "t3"]


def test_the_quality_of_service_is_the_api_servers_to_say() -> None:
    """It follows from the spec and can't be changed: a real server refuses a status that says otherwise."""
    assert "qosClass" not in pod_status({}, PLACE, (_container(Running("t")),), "t1", {})


def test_a_merge_patch_takes_the_former_state_away() -> None:
    status = pod_status({}, PLACE, (_container(Running("t")),), "t1", {})

    assert status["containerStatuses"][0]["state"] == {
        "waiting": None,
        "terminated": None,
        "running": {"startedAt": "t"},
    }
