"""What users apply: built from its parts, complete, and asking for no more than it says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbnodeagent.__main__ import HAND_OVER, LEAVE
from manifests.build import RULES, build, complete_files, legacy_crds
from tests.allocator.stage import without_rules

ROOT = Path(__file__).parents[1]
COMPLETE = ROOT / "manifests" / "purelb-complete.yaml"


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(COMPLETE.read_text()) if document]


def test_what_is_made_from_parts_is_up_to_date() -> None:
    for path, text in (*legacy_crds(), *complete_files()):
        assert path.read_text() == text, f"{path.relative_to(ROOT)} is old, run: make crds manifests"


def test_the_legacy_crds_differ_only_by_rules_that_need_newer_servers() -> None:
    for source in sorted((ROOT / "crds").glob("*.purelb.io.yaml")):
        crd, old = (yaml.safe_load(path.read_text()) for path in (source, ROOT / "crds" / "legacy" / source.name))
        text = json.dumps(old)

        assert without_rules(crd) == without_rules(old)
        assert not any(f"{function}(" in text for function in ("isIP", "isCIDR", " ip", "cidr", "containsIP"))
        assert RULES in text


def test_the_namespace_comes_first_and_no_object_needs_a_crd_of_the_same_file(objects: list[dict[str, Any]]) -> None:
    kinds = [each["kind"] for each in objects]

    assert kinds[0] == "Namespace"
    assert not [each for each in objects if each["apiVersion"].startswith("purelb.io/")]


def test_all_versions_of_a_crd_have_one_schema_so_that_none_loses_fields(objects: list[dict[str, Any]]) -> None:
    crds = [each for each in objects if each["kind"] == "CustomResourceDefinition"]

    assert len(crds) == 3
    for crd in crds:
        first, *others = (version["schema"] for version in crd["spec"]["versions"])
        assert all(other == first for other in others)
        assert bool(others) == (crd["metadata"]["name"] != "memberships.purelb.io"), "what PureLB has, it has twice"


def undescribed(schema: dict[str, Any], path: str = "") -> list[str]:
    """The fields of which `kubectl explain` says nothing."""
    found = []
    for name, inner in schema.get("properties", {}).items():
        if path or name not in ("apiVersion", "kind", "metadata"):
            here = f"{path}.{name}"
            found += [here] if "description" not in inner else []
            found += undescribed(inner, here) + undescribed(inner.get("items", {}), f"{here}[]")
    return found


def test_every_field_is_described(objects: list[dict[str, Any]]) -> None:
    for crd in (each for each in objects if each["kind"] == "CustomResourceDefinition"):
        assert undescribed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) == []


def test_the_programs_ask_for_no_privileged_container(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        if each["kind"] not in ("Deployment", "DaemonSet"):
            continue
        for container in each["spec"]["template"]["spec"]["containers"]:
            context = container["securityContext"]
            assert not context.get("privileged")
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"]["drop"] == ["ALL"]
            assert set(context["capabilities"].get("add", [])) <= {"NET_ADMIN", "NET_RAW"}


def workload(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in objects if each["kind"] == kind)["spec"]
    return found


def test_an_agent_gets_the_time_to_hand_over_when_it_is_stopped(objects: list[dict[str, Any]]) -> None:
    agent = workload(objects, "DaemonSet")

    assert agent["template"]["spec"]["terminationGracePeriodSeconds"] > 2 * (HAND_OVER + LEAVE)
    assert agent["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


def test_agents_run_on_control_plane_nodes_of_any_age_and_are_not_evicted_first(objects: list[dict[str, Any]]) -> None:
    pod = workload(objects, "DaemonSet")["template"]["spec"]

    tolerated = {(one["key"], one["operator"], one["effect"]) for one in pod["tolerations"]}
    assert tolerated >= {
        ("node-role.kubernetes.io/control-plane", "Exists", "NoSchedule"),
        ("node-role.kubernetes.io/master", "Exists", "NoSchedule"),
    }
    assert pod["priorityClassName"] == "system-node-critical"


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_a_program_is_probed_limited_and_confined(objects: list[dict[str, Any]], kind: str) -> None:
    pod = workload(objects, kind)["template"]["spec"]

    [container] = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert "cpu" not in container["resources"]["limits"], "a limit would make it late"
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_namespace_says_what_its_pods_may_do(objects: list[dict[str, Any]]) -> None:
    labels = next(each for each in objects if each["kind"] == "Namespace")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "manifests").rglob("kustomization.yaml")))
def test_every_folder_can_be_built(folder: Path) -> None:
    if yaml.safe_load((folder / "kustomization.yaml").read_text())["kind"] == "Kustomization":
        assert build(folder)


def test_the_status_page_is_a_component_that_changes_nothing_else(
    tmp_path: Path, objects: list[dict[str, Any]]
) -> None:
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [os.path.relpath(ROOT / "manifests" / "overlays" / "layer2", folder)],
                "components": [os.path.relpath(ROOT / "manifests" / "page", folder)],
            }
        )
    )

    made = [document for document in yaml.safe_load_all(build(folder)) if document]
    changed = [one for one in made if one not in objects]
    assert [(one["kind"], one["metadata"]["name"]) for one in changed] == [("Deployment", "allocator")]
    (container,) = changed[0]["spec"]["template"]["spec"]["containers"]
    assert container["env"][0] == {"name": "PURELB_PAGE_PORT", "value": "7474"}
    assert {"name": "page", "containerPort": 7474} in container["ports"]
