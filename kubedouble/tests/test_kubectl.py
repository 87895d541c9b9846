"""The server as kubectl sees it: the real program, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubedouble.testing.clusters import Api, Embedded, Real
from objects import config_map, deployment, pod, pool, pool_definition, service

KUBECTL = Path(sys.executable).with_name("kubectl")


class Kubectl:
    """Runs kubectl against one server, in one namespace."""

    def __init__(self, config: Path, namespace: str) -> None:
        self._base = [
            str(KUBECTL),
            "--kubeconfig",
            str(config),
            f"--cache-dir={config.parent / 'cache'}",
            "-n",
            namespace,
        ]
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(config.parent), "KUBECTL_EXTERNAL_DIFF": "diff -u"}
        self.namespace = namespace

    def run(self, *arguments: str, stdin: object = None) -> subprocess.CompletedProcess[str]:
        text = stdin if isinstance(stdin, str) or stdin is None else as_list(stdin)
        return subprocess.run(
            [*self._base, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            env=self._environment,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: object = None) -> str:
        """What it prints, of a run that succeeds."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: object = None) -> str:
        """What it complains of."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._base, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )


def as_list(objects: object) -> str:
    if isinstance(objects, list):
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return json.dumps(objects)


def open_kubectl(server: Embedded | Real, folder: Path) -> Kubectl:
    """kubectl in a fresh namespace of that server, which knows the CRD of `objects.pool_definition`."""
    path = folder / "config"
    if not path.exists():
        path.write_text(json.dumps(server.kubeconfig()))
        made = server.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", pool_definition())
        assert made.status in (201, 409), made.body
        eventually(lambda: server.api.get("/apis/example.org/v2/pools").status == 200)
    name = f"kubectl-{len(server.api.get('/api/v1/namespaces').ok()['items'])}"
    server.api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    return Kubectl(path, name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cluster: Embedded | Real) -> Path:
    return tmp_path_factory.mktemp(f"kubectl-{cluster.kind}")


@pytest.fixture
def kubectl(folder: Path, cluster: Embedded | Real) -> Kubectl:
    return open_kubectl(cluster, folder)


@pytest.fixture
def embedded_kubectl(tmp_path: Path, embedded: Embedded) -> Kubectl:
    """For what needs controllers or kubelets, which a real API server alone has not."""
    return open_kubectl(embedded, tmp_path)


def add_node(api: Api, namespace: str) -> str:
    name = f"node-of-{namespace}"
    body = {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.31.188.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }
    api.post("/api/v1/nodes", body).ok()
    return name


@pytest.fixture
def node(cluster: Embedded | Real, kubectl: Kubectl) -> Iterator[str]:
    name = add_node(cluster.api, kubectl.namespace)
    yield name
    cluster.api.delete(f"/api/v1/nodes/{name}")


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.02)


def columns(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


class TestApply:
    def test_apply_creates_then_changes_nothing_then_configures(self, kubectl: Kubectl) -> None:
        objects = [service("a"), deployment("a"), config_map("a", x="1"), pool("a")]
        names = ["service/a", "deployment.apps/a", "configmap/a", "pool.example.org/a"]

        assert kubectl("apply", "-f", "-", stdin=objects).splitlines() == [f"{name} created" for name in names]
        assert kubectl("apply", "-f", "-", stdin=objects).splitlines() == [f"{name} unchanged" for name in names]

        changed = [service("a", externalTrafficPolicy="Local"), deployment("a", 2), config_map("a"), pool("a", size=6)]
        assert kubectl("apply", "-f", "-", stdin=changed).splitlines() == [f"{name} configured" for name in names]
        assert kubectl("get", "cm", "a", "-o", "jsonpath={.data}") == ""  # as Go leaves out what is empty

    def test_apply_validates_before_it_writes(self, kubectl: Kubectl) -> None:
        wrong = service("a")
        wrong["spec"]["colour"] = "red"

        complaint = kubectl.refused("apply", "-f", "-", stdin=wrong)

        assert 'strict decoding error: unknown field "spec.colour"' in complaint
        assert 'unknown field "spec.colour"' in kubectl.refused("apply", "-f", "-", stdin=pool("a", colour="red"))

    def test_a_refused_custom_resource_says_why(self, kubectl: Kubectl) -> None:
        complaint = kubectl.refused("apply", "-f", "-", stdin=pool("a", first="10.9.9.9"))

        assert 'The Pool "a" is invalid' in complaint
        assert "first must be in the subnet" in complaint

    def test_diff_shows_what_apply_would_change(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=deployment("a"))

        difference = kubectl.run("diff", "-f", "-", stdin=deployment("a", 3))

        assert difference.returncode == 1
        assert "-  replicas: 1" in difference.stdout
        assert "+  replicas: 3" in difference.stdout
        assert kubectl.run("diff", "-f", "-", stdin=deployment("a")).returncode == 0

    def test_server_side_apply_and_its_conflicts(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=deployment("a"))  # as it was before server-side apply

        assert kubectl("apply", "--server-side", "-f", "-", stdin=deployment("a", 2)) == (
            "deployment.apps/a serverside-applied\n"
        )
        complaint = kubectl.refused(
            "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=deployment("a", 5)
        )
        assert 'conflict with "kubectl": .spec.replicas' in complaint
        kubectl(
            "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=deployment("a", 5)
        )
        assert kubectl("get", "deploy", "a", "-o", "jsonpath={.spec.replicas}") == "5"

    def test_an_applied_field_that_is_left_out_later_goes(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=service("a", ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}]))

        kubectl("apply", "-f", "-", stdin=service("a", ports=[{"name": "b", "port": 2}]))

        assert kubectl("get", "svc", "a", "-o", "jsonpath={.spec.ports[*].name}") == "b"

    def test_replace_writes_the_whole_object(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=config_map("a", x="1"))
        seen = kubectl("get", "cm", "a", "-o", "yaml").replace('x: "1"', 'x: "2"')

        assert kubectl("replace", "-f", "-", stdin=seen) == "configmap/a replaced\n"
        assert "the object has been modified" in kubectl.refused("replace", "-f", "-", stdin=seen)


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


class TestChange:
    def test_label_annotate_scale_set(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=deployment("a"))

        kubectl("label", "deploy", "a", "tier=front")
        kubectl("annotate", "deploy", "a", "example.org/note=hello")
        kubectl("scale", "deploy", "a", "--replicas=4")
        kubectl("set", "image", "deploy/a", "main=example.org/app:2")

        seen = json.loads(kubectl("get", "deploy", "a", "-o", "json"))
        assert seen["metadata"]["labels"] == {"tier": "front"}
        assert seen["metadata"]["annotations"]["example.org/note"] == "hello"
        assert seen["spec"]["replicas"] == 4
        assert seen["spec"]["template"]["spec"]["containers"][0]["image"] == "example.org/app:2"

    @pytest.mark.parametrize(
        ("kind", "patch"),
        [
            ("json", '[{"op":"replace","path":"/spec/ports/0/targetPort","value":81}]'),
            ("merge", '{"spec":{"ports":[{"port":80,"protocol":"TCP","targetPort":81}]}}'),
            ("strategic", '{"spec":{"ports":[{"port":80,"targetPort":81}]}}'),
        ],
    )
    def test_patch(self, kubectl: Kubectl, kind: str, patch: str) -> None:
        kubectl("apply", "-f", "-", stdin=service("a"))

        kubectl("patch", "svc", "a", f"--type={kind}", "-p", patch)

        assert kubectl("get", "svc", "a", "-o", "jsonpath={.spec.ports[0].targetPort}") == "81"

    def test_patch_of_the_status(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=service("a"))

        kubectl("patch", "svc", "a", "--subresource=status", "--type=merge",
                "-p", '{"status":{"loadBalancer":{"ingress":[{"ip":"10.31.188.64"}]}}}')  # fmt: skip

        assert "10.31.188.64 (VIP)" in kubectl("describe", "svc", "a")

    def test_edit_writes_what_the_editor_leaves(self, kubectl: Kubectl, tmp_path: Path) -> None:
        kubectl("apply", "-f", "-", stdin=config_map("a", x="before"))
        editor = tmp_path / "editor"
        editor.write_text("#!/bin/sh\nsed -i 's/x: before/x: after/' \"$1\"\n")
        editor.chmod(0o755)
        kubectl._environment["KUBE_EDITOR"] = str(editor)

        assert kubectl("edit", "cm", "a") == "configmap/a edited\n"
        assert kubectl("get", "cm", "a", "-o", "jsonpath={.data.x}") == "after"

    def test_typed_creations(self, kubectl: Kubectl) -> None:
        """These send protobuf."""
        kubectl("create", "secret", "generic", "s", "--from-literal=key=value")
        kubectl("create", "configmap", "c", "--from-literal=key=value")
        kubectl("create", "deployment", "d", "--image=example.org/app:1", "--replicas=2", "--port=80")
        kubectl("create", "role", "r", "--verb=get", "--resource=pods")
        kubectl("expose", "deployment", "d", "--port=80", "--type=LoadBalancer")
        assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.key}") == "dmFsdWU="
        assert (
            kubectl(
                "get",
                "deploy",
                "d",
                "-o",
                "jsonpath={.spec.replicas}{.spec.template.spec.containers[0].ports[0].containerPort}",
            )
            == "280"
        )
        assert kubectl("get", "role", "r", "-o", "jsonpath={.rules[0].verbs[0]}") == "get"
        assert kubectl("get", "svc", "d", "-o", "jsonpath={.spec.ports[0].port}") == "80"

    def test_delete_waits_for_finalizers(self, kubectl: Kubectl) -> None:
        held = config_map("a")
        held["metadata"]["finalizers"] = ["example.org/hold"]
        kubectl("apply", "-f", "-", stdin=held)

        assert "timed out waiting" in kubectl.refused("delete", "cm", "a", "--timeout=200ms")
        kubectl("patch", "cm", "a", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kubectl("wait", "--for=delete", "cm/a", "--timeout=5s")


class TestWorkloads:
    def status(self, cluster: Embedded | Real, namespace: str, name: str, **status: int) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status"
        cluster.api.merge(path, {"status": status}).ok()

    def test_rollout_restart_and_status(self, kubectl: Kubectl, cluster: Embedded | Real) -> None:
        kubectl("apply", "-f", "-", stdin=deployment("a"))
        ready = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}

        kubectl("rollout", "restart", "deployment/a")
        waiting = kubectl.follow("rollout", "status", "deployment/a", "--timeout=10s")
        self.status(cluster, kubectl.namespace, "a", observedGeneration=2, **ready)
        output, _ = waiting.communicate(timeout=10)

        assert waiting.returncode == 0, output
        assert 'deployment "a" successfully rolled out' in output
        assert "restartedAt" in kubectl("get", "deploy", "a", "-o", "jsonpath={.spec.template.metadata.annotations}")
        assert columns(kubectl("get", "deploy", "a"))[1][:4] == ["a", "1/1", "1", "1"]
        kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "deploy/a", "--timeout=5s")

    def test_cordon_and_drain(self, kubectl: Kubectl, cluster: Embedded | Real, node: str) -> None:
        kubectl("apply", "-f", "-", stdin=pod("a", node))
        kubectl("cordon", node)
        assert columns(kubectl("get", "node", node))[1][1] == "Ready,SchedulingDisabled"

        draining = kubectl.follow("drain", node, "--force", "--timeout=10s")
        path = f"/api/v1/namespaces/{kubectl.namespace}/pods/a"
        eventually(lambda: "deletionTimestamp" in cluster.api.get(path).ok()["metadata"])
        cluster.api.delete(path, {"gracePeriodSeconds": 0}).ok()  # the kubelet's part
        output, _ = draining.communicate(timeout=15)

        assert draining.returncode == 0, output
        assert f"node/{node} drained" in output
        kubectl("uncordon", node)


class TestAccess:
    def test_can_i(self, kubectl: Kubectl) -> None:
        account = f"--as=system:serviceaccount:{kubectl.namespace}:default"

        assert kubectl("auth", "can-i", "create", "services") == "yes\n"
        assert kubectl.run("auth", "can-i", "create", "services", account).stdout == "no\n"
        assert "kubernetes-admin" in kubectl("auth", "whoami")

    def test_a_token_from_kubectl_works(self, kubectl: Kubectl, cluster: Embedded | Real) -> None:
        kubectl("create", "serviceaccount", "robot")

        token = kubectl("create", "token", "robot").strip()
        refusal = cluster.api.as_user(token).get("/api/v1/services").refused(403)

        assert f'User "system:serviceaccount:{kubectl.namespace}:robot" cannot list resource "services"' in refusal


class TestControllers:
    """What a real API server leaves to the controller manager and to kubelets."""

    def test_a_namespace_is_created_and_deleted_with_its_contents(self, embedded_kubectl: Kubectl) -> None:
        embedded_kubectl("create", "namespace", "short-lived")
        embedded_kubectl("-n", "short-lived", "create", "configmap", "c")

        embedded_kubectl("delete", "namespace", "short-lived", "--timeout=10s")

        assert 'namespaces "short-lived" not found' in embedded_kubectl.refused("get", "ns", "short-lived")

    def test_logs_are_read_from_the_provider(self, embedded_kubectl: Kubectl, embedded: Embedded) -> None:
        kubectl = embedded_kubectl
        node = add_node(embedded.api, kubectl.namespace)
        kubectl("apply", "-f", "-", stdin=pod("a", node))
        assert "is waiting to start" in kubectl.refused("logs", "a")
        uid = kubectl("get", "pod", "a", "-o", "jsonpath={.metadata.uid}")
        folder = embedded.logs / f"{kubectl.namespace}_a_{uid}" / "main"
        folder.mkdir(parents=True)
        (folder / "0.log").write_text("old\n")
        (folder / "1.log").write_text("one\ntwo\nthree\n")

        assert kubectl("logs", "a", "--tail=2") == "two\nthree\n"
        assert kubectl("logs", "a", "-p") == "old\n"
        following = kubectl.follow("logs", "-f", "a", "--tail=1")
        assert following.stdout is not None
        assert following.stdout.readline() == "three\n"
        with (folder / "1.log").open("a") as log:
            log.write("four\n")
        assert following.stdout.readline() == "four\n"
        following.terminate()
        following.communicate(timeout=10)
