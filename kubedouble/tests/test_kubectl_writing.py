"""The server as kubectl sees it: apply, change, delete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectlcommand import Kubectl
from objects import config_map, deployment, pool, service


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
