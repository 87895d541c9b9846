"""What we rely on in a Kubernetes API server: Services.

They run on the embedded one, and on a real one with `KUBEBUILDER_ASSETS`.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from kubedouble.testing.clusters import Api
from objects import service
from waiting import eventually

SERVICES = "/api/v1/namespaces/{}/services"
MAPS = "/api/v1/namespaces/{}/configmaps"


class TestServices:
    def test_a_service_cidr_tells_where_cluster_ips_come_from(self, api: Api, namespace: str) -> None:
        found = api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").ok()

        made = api.post(SERVICES.format(namespace), service("a")).ok()
        assert any(ip_address(made["spec"]["clusterIP"]) in ip_network(cidr) for cidr in found["spec"]["cidrs"])
        assert [one["status"] for one in found["status"]["conditions"] if one["type"] == "Ready"] == ["True"]

    def test_what_is_filled_in(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a")).ok()["spec"]

        assert ip_address(made["clusterIP"]) in ip_network("10.188.0.0/18")
        assert made["clusterIPs"] == [made["clusterIP"]]
        assert made["ipFamilies"] == ["IPv4"]
        assert made["ipFamilyPolicy"] == "SingleStack"
        assert made["externalTrafficPolicy"] == made["internalTrafficPolicy"] == "Cluster"
        assert made["sessionAffinity"] == "None"
        assert "nodePort" not in made["ports"][0]

    def test_node_ports_come_unless_they_are_refused(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a", allocateLoadBalancerNodePorts=True)).ok()["spec"]

        assert 30000 <= made["ports"][0]["nodePort"] <= 32767

    def test_local_traffic_gets_a_health_check_port(self, api: Api, namespace: str) -> None:
        made = api.post(SERVICES.format(namespace), service("a", externalTrafficPolicy="Local")).ok()["spec"]

        assert 30000 <= made["healthCheckNodePort"] <= 32767

    def test_dual_stack_gets_an_address_of_each_family(self, api: Api, namespace: str) -> None:
        body = service("a", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv6", "IPv4"])

        made = api.post(SERVICES.format(namespace), body).ok()["spec"]

        assert [ip_address(text).version for text in made["clusterIPs"]] == [6, 4]
        assert ip_address(made["clusterIP"]) in ip_network("fd00:10:188::/112")

    def test_a_cluster_ip_is_given_once_and_can_be_wished_for(self, api: Api, namespace: str) -> None:
        api.post(SERVICES.format(namespace), service("a", clusterIP="10.188.40.1")).ok()

        taken = api.post(SERVICES.format(namespace), service("b", clusterIP="10.188.40.1")).refused(422)
        outside = api.post(SERVICES.format(namespace), service("b", clusterIP="10.1.1.1")).refused(422)

        assert "failed to allocate IP 10.188.40.1: provided IP is already allocated" in taken
        assert "failed to allocate IP 10.1.1.1" in outside
        api.delete(f"{SERVICES.format(namespace)}/a").ok()
        eventually(lambda: api.post(SERVICES.format(namespace), service("c", clusterIP="10.188.40.1")).status == 201)

    def test_a_headless_service_has_no_address(self, api: Api, namespace: str) -> None:
        made = api.post(
            SERVICES.format(namespace),
            service("a", type="ClusterIP", clusterIP="None", allocateLoadBalancerNodePorts=None),
        ).ok()["spec"]

        assert made["clusterIPs"] == ["None"]

    def test_an_update_may_be_silent_about_what_was_drawn(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        made = api.post(path, service("a", allocateLoadBalancerNodePorts=True)).ok()
        silent = service("a", allocateLoadBalancerNodePorts=True, selector={"app": "other"})

        updated = api.put(f"{path}/a", silent).ok()["spec"]

        assert updated["clusterIP"] == made["spec"]["clusterIP"]
        assert updated["ports"] == made["spec"]["ports"]

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            ({"ports": []}, "spec.ports: Required value"),
            ({"ports": [{"port": 0}]}, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
            ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
            ({"type": "Ball"},
             'Unsupported value: "Ball": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
            ({"externalTrafficPolicy": "Some"},
             'spec.externalTrafficPolicy: Unsupported value: "Some": supported values: "Cluster", "Local"'),
            ({"type": "ClusterIP", "allocateLoadBalancerNodePorts": None, "loadBalancerClass": "a/b"},
             "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"),
            ({"type": "ClusterIP"},
             "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"),
            ({"clusterIP": "None"}, "may not be set to 'None' for LoadBalancer services"),
            ({"externalIPs": ["127.0.0.1"]},
             'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, api: Api, namespace: str, spec: dict[str, Any], sentence: str) -> None:
        assert sentence in api.post(SERVICES.format(namespace), service("a", **spec)).refused(422)

    def test_the_load_balancer_class_never_changes(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a", loadBalancerClass="example.org/one")).ok()

        message = api.merge(f"{path}/a", {"spec": {"loadBalancerClass": "example.org/two"}}).refused(422)

        assert 'spec.loadBalancerClass: Invalid value: "example.org/two": may not change once set' in message

    def test_status_takes_annotations_and_ingress_in_one_write_but_no_spec(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        written = api.merge(
            f"{path}/a/status",
            {
                "metadata": {"annotations": {"example.org/by": "test"}, "labels": {"x": "y"}},
                "spec": {"selector": {"app": "other"}},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}},
            },
        ).ok()

        assert written["metadata"]["annotations"] == {"example.org/by": "test"}
        assert written["metadata"]["labels"] == {"x": "y"}
        assert written["spec"]["selector"] == {"app": "a"}
        assert written["status"]["loadBalancer"] == {"ingress": [{"ip": "10.31.188.64", "ipMode": "VIP"}]}

    def test_the_mode_of_an_address_is_filled_in_by_the_type_that_the_write_itself_says(
        self, api: Api, namespace: str
    ) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()
        status = {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}}

        message = api.merge(f"{path}/a/status", {"spec": {"type": "ClusterIP"}, "status": status}).refused(422)

        assert "status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set" in message
        assert api.merge(f"{path}/a/status", {"status": status}).status == 200

    def test_a_put_of_a_service_that_is_not_there_creates_it(self, api: Api, namespace: str) -> None:
        assert api.put(f"{SERVICES.format(namespace)}/1st", service("1st")).status == 201

    def test_status_can_be_put_and_a_stale_one_is_a_conflict(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        made = api.post(path, service("a")).ok()
        made["status"] = {"loadBalancer": {"ingress": [{"ip": "10.31.188.65"}]}}

        written = api.put(f"{path}/a/status", made)
        again = api.put(f"{path}/a/status", {**made, "status": {}})

        assert written.ok()["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.31.188.65"
        assert again.status == 409

    def test_the_spec_is_written_without_touching_status(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        written = api.merge(f"{path}/a", {"status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}}).ok()

        assert written["status"] == {"loadBalancer": {}}

    def test_a_service_that_is_no_load_balancer_any_more_loses_its_ingress(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a", loadBalancerClass="example.org/one")).ok()
        api.merge(f"{path}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}}).ok()

        changed = api.merge(f"{path}/a", {"spec": {"type": "ClusterIP"}}).ok()

        assert changed["status"] == {"loadBalancer": {}}
        assert "loadBalancerClass" not in changed["spec"]
        assert "externalTrafficPolicy" not in changed["spec"]
        assert "allocateLoadBalancerNodePorts" not in changed["spec"]

    def test_an_address_in_status_must_be_one(self, api: Api, namespace: str) -> None:
        path = SERVICES.format(namespace)
        api.post(path, service("a")).ok()

        message = api.merge(f"{path}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "x"}]}}}).refused(422)

        assert "status.loadBalancer.ingress[0].ip: Invalid value" in message
