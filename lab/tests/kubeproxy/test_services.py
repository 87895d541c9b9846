"""What kube-proxy makes of Services and slices."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from lab.kubeproxy.services import ServicePort, service_ports


def service(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.188.0.7",
            "clusterIPs": ["10.188.0.7"],
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}],
            **spec,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}, {"ip": "fd00::64"}]}},
    }


def endpoint(address: str, node: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def endpoint_slice(*endpoints: dict[str, Any], address_type: str = "IPv4") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "default",
            "name": "web-1",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": address_type,
        "ports": [{"name": "", "port": 8080}],
        "endpoints": list(endpoints),
    }


def only(body: dict[str, Any], *slices: dict[str, Any]) -> ServicePort:
    (port,) = service_ports([body], slices)
    return port


def test_a_port_has_its_addresses_of_one_family() -> None:
    port = only(service())

    assert port.load_balancer_ips == (ip_address("10.31.188.64"),)
    assert (port.protocol, port.port, port.node_port) == ("tcp", 80, 30080)


def test_a_dual_stack_service_has_a_port_per_family() -> None:
    ports = service_ports([service(clusterIPs=["10.188.0.7", "fd00:1::7"])], [])

    assert [port.version for port in ports] == [4, 6]
    assert ports[1].load_balancer_ips == (ip_address("fd00::64"),)


def test_a_headless_service_has_none() -> None:
    assert service_ports([service(clusterIP="None", clusterIPs=["None"])], []) == []


@pytest.mark.parametrize("text", ["", "here", "10.31.188.064", "10.31.188.64/16", "fe80::1%} flush ruleset"])
def test_a_status_that_is_no_address_costs_nobody_else_its_rules(text: str) -> None:
    odd, other = service(externalIPs=[text, "10.31.188.65"]), service()
    odd["status"]["loadBalancer"]["ingress"] += [{"ip": text}]
    of_slice = endpoint_slice(endpoint(text, "w11", ready=True), endpoint("10.0.1.9", "w11", ready=True))

    first, second = service_ports([odd, other], [of_slice])

    assert first.load_balancer_ips == second.load_balancer_ips == (ip_address("10.31.188.64"),)
    assert first.external_ips == (ip_address("10.31.188.65"),)
    assert [str(one.address) for one in first.endpoints] == ["10.0.1.9"]


def test_endpoints_that_terminate_count_where_no_ready_one_is_left() -> None:
    going = endpoint("10.0.1.9", "w11", ready=False, serving=True, terminating=True)
    ready = endpoint("10.0.2.9", "w12", ready=True)
    port = only(service(externalTrafficPolicy="Local"), endpoint_slice(going, ready))

    assert [one.node for one in port.usable] == ["w12"]
    assert [one.node for one in port.usable_on("w11")] == ["w11"]
    assert [one.node for one in only(service(), endpoint_slice(going)).usable] == ["w11"]


def test_endpoints_that_are_not_ready_or_of_the_other_family_are_none() -> None:
    slices = (
        endpoint_slice(endpoint("10.0.1.9", "w11", ready=False, serving=False)),
        endpoint_slice(endpoint("fd00:a::9", "w11", ready=True), address_type="IPv6"),
    )

    assert only(service(), *slices).endpoints == ()


def test_an_ingress_of_mode_proxy_is_not_kube_proxys() -> None:
    body = service()
    body["status"]["loadBalancer"]["ingress"][0]["ipMode"] = "Proxy"

    assert only(body).load_balancer_ips == ()


def test_affinity_has_the_services_time_or_three_hours() -> None:
    assert only(service()).affinity is None
    assert only(service(sessionAffinity="ClientIP")).affinity == 10800
    timed = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}})
    assert only(timed).affinity == 60


def test_a_health_check_port_counts_with_policy_local_only() -> None:
    assert only(service(healthCheckNodePort=31000)).health_check_port is None
    assert only(service(healthCheckNodePort=31000, externalTrafficPolicy="Local")).health_check_port == 31000


def test_source_ranges_are_those_of_the_family_and_never_overlap() -> None:
    ranges = ["10.31.0.0/16 ", "10.31.100.7/24", "192.0.2.1/32", "fd00:10:31::/64", "10.0.0.0/33"]

    port = only(service(loadBalancerSourceRanges=ranges))

    assert [str(one) for one in port.source_ranges] == ["10.31.0.0/16", "192.0.2.1/32"]
    assert only(service(loadBalancerSourceRanges=["fd00:10:31::/64"])).source_ranges == ()
