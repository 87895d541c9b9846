"""EndpointSlices say which pods serve, per family."""

from __future__ import annotations

from typing import Any

from lab.controllers.endpointslices import slice_for

SERVICE: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "x", "uid": "s"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
}


def _pod(name: str, *, ready: bool = True, stopping: bool = False, phase: str = "Running") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "x", "uid": name}
    if stopping:
        metadata["deletionTimestamp"] = "t"
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {
            "phase": phase,
            "podIPs": [{"ip": "10.0.0.4"}, {"ip": "fd00::4"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def test_endpoints_carry_the_pods_state() -> None:
    pods = [_pod("a"), _pod("b", ready=False), _pod("c", stopping=True), _pod("d", phase="Failed")]

    endpoints = slice_for(SERVICE, pods, "IPv4")["endpoints"]

    assert {one["targetRef"]["name"]: tuple(one["conditions"].values()) for one in endpoints} == {
        "a": (True, True, False),  # ready, serving, terminating
        "b": (False, False, False),
        "c": (False, True, True),
    }
    assert endpoints[0]["nodeName"] == "n1"


def test_each_family_has_its_own_addresses() -> None:
    assert slice_for(SERVICE, [_pod("a")], "IPv6")["endpoints"][0]["addresses"] == ["fd00::4"]
    assert slice_for(SERVICE, [_pod("a")], "IPv4")["endpoints"][0]["addresses"] == ["10.0.0.4"]


def test_a_named_target_port_is_the_containers() -> None:
    assert slice_for(SERVICE, [_pod("a")], "IPv4")["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert slice_for(SERVICE, [], "IPv4")["ports"] == []


def test_not_ready_addresses_are_published_on_request() -> None:
    service = {**SERVICE, "spec": {**SERVICE["spec"], "publishNotReadyAddresses": True}}

    assert slice_for(service, [_pod("b", ready=False)], "IPv4")["endpoints"][0]["conditions"]["ready"]
