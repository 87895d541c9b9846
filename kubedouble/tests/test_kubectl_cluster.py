"""The server as kubectl sees it: workloads, nodes, rights, namespaces, logs."""

from __future__ import annotations

from kubectlcommand import Kubectl, add_node, columns
from kubedouble.testing.clusters import Embedded, Real
from objects import deployment, pod
from waiting import eventually


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
