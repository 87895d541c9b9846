"""The server as kubectl sees it: get, describe, explain, watch."""

from __future__ import annotations

import json
import time

from kubectlcommand import Kubectl, columns
from kubedouble.testing.clusters import Embedded, Real
from objects import config_map, pod, pool, service


class TestGet:
    def test_services(self, kubectl: Kubectl, cluster: Embedded | Real) -> None:
        kubectl("apply", "-f", "-", stdin=[service("a"), service("b")])
        path = f"/api/v1/namespaces/{kubectl.namespace}/services/b/status"
        cluster.api.merge(path, {"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}}}).ok()

        header, first, second = columns(kubectl("get", "svc", "-o", "wide"))

        assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
        assert (first[0], first[1], first[3], first[4], first[6]) == (
            "a",
            "LoadBalancer",
            "<pending>",
            "80/TCP",
            "app=a",
        )
        assert second[3] == "10.31.188.64"

    def test_custom_resources_show_their_columns(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=pool("a", mode="local"))

        assert columns(kubectl("get", "pl"))[0] == ["NAME", "SUBNET", "USED", "AGE"]
        assert columns(kubectl("get", "pl", "-o", "wide"))[1][:3] == ["a", "10.1.0.0/24", "local"]

    def test_output_formats(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=service("a"))

        assert json.loads(kubectl("get", "svc", "a", "-o", "json"))["kind"] == "Service"
        assert "kind: Service" in kubectl("get", "svc", "a", "-o", "yaml")
        assert kubectl("get", "svc", "-o", "jsonpath={.items[*].spec.type}") == "LoadBalancer"
        assert columns(kubectl("get", "svc", "-o", "custom-columns=A:.metadata.name,B:.spec.type"))[1] == [
            "a",
            "LoadBalancer",
        ]
        assert kubectl("get", "all", "-o", "name") == "service/a\n"

    def test_watch_prints_each_change(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=config_map("a", x="1"))
        watching = kubectl.follow("get", "cm", "-w", "--field-selector", "metadata.name=a", "--output-watch-events")
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
            assert watching.stdout.readline().split()[:3] == ["ADDED", "a", "1"]
            kubectl("patch", "cm", "a", "--type=merge", "-p", '{"data":{"y":"2"}}')
            assert watching.stdout.readline().split()[:3] == ["MODIFIED", "a", "2"]
            kubectl("delete", "cm", "a")
            assert watching.stdout.readline().split()[:2] == ["DELETED", "a"]
        finally:
            watching.terminate()
            watching.communicate(timeout=10)

    def test_events_of_an_object(self, kubectl: Kubectl, cluster: Embedded | Real) -> None:
        kubectl("apply", "-f", "-", stdin=service("a"))
        uid = kubectl("get", "svc", "a", "-o", "jsonpath={.metadata.uid}")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 180))
        event = {
            "metadata": {"name": "a.1"},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Service", "name": "a", "namespace": kubectl.namespace, "uid": uid,
            },
            "type": "Normal", "reason": "AddressAssigned", "message": "Assigned 10.31.188.64", "count": 7,
            "firstTimestamp": stamp, "lastTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "source": {"component": "purelb-allocator"},
        }  # fmt: skip
        cluster.api.post(f"/api/v1/namespaces/{kubectl.namespace}/events", event).ok()

        described = kubectl("describe", "svc", "a")

        assert "AddressAssigned" in described
        assert "(x7 over 3m" in described
        assert "purelb-allocator" in described
        assert columns(kubectl("get", "events"))[1][1:4] == ["Normal", "AddressAssigned", "service/a"]
        assert "AddressAssigned" in kubectl("events", "--for", "service/a")

    def test_describe_node_pod_and_custom_resource(self, kubectl: Kubectl, node: str) -> None:
        kubectl("apply", "-f", "-", stdin=[pod("a", node), pool("a")])

        assert "control-plane" in kubectl("describe", "node", node)
        assert ["Node:", f"{node}/"] in columns(kubectl("describe", "pod", "a"))
        assert "Subnet:  10.1.0.0/24" in kubectl("describe", "pl", "a")
        assert columns(kubectl("get", "nodes", node, "-o", "wide"))[1][:3] == [node, "Ready", "control-plane"]

    def test_explain_and_api_resources(self, kubectl: Kubectl) -> None:
        assert "loadBalancerClass\t<string>" in kubectl("explain", "svc.spec")
        explained = kubectl("explain", "pool.spec.size")
        assert "FIELD: size <integer>" in explained
        assert ["pools", "pl", "example.org/v1", "true", "Pool"] not in columns(
            kubectl("api-resources", "--api-group=apps")
        )
        assert ["pools", "pl", "example.org/v2", "true", "Pool"] in columns(
            kubectl("api-resources", "--api-group=example.org")
        )
