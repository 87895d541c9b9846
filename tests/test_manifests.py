"""What users apply: built from its parts, complete, and asking for no more than it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPLETE = ROOT / "manifests" / "purelb-complete.yaml"


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(COMPLETE.read_text()) if document]


def test_the_complete_file_is_what_its_parts_make() -> None:
    kubectl = Path(sys.executable).with_name("kubectl")
    built = subprocess.run([kubectl, "kustomize", ROOT / "manifests" / "base"], capture_output=True, check=True).stdout

    written = COMPLETE.read_text().split("\n", 2)[2]

    assert written == built.decode(), "run: make manifests"


def test_the_namespace_comes_first_and_no_object_needs_a_crd_of_the_same_file(objects: list[dict[str, Any]]) -> None:
    kinds = [each["kind"] for each in objects]

    assert kinds[0] == "Namespace"
    assert not [each for each in objects if each["apiVersion"].startswith("purelb.io/")]


def test_both_versions_of_a_crd_have_one_schema_so_that_neither_loses_fields(objects: list[dict[str, Any]]) -> None:
    crds = [each for each in objects if each["kind"] == "CustomResourceDefinition"]

    assert len(crds) == 2
    for crd in crds:
        versions = {version["name"]: version["schema"] for version in crd["spec"]["versions"]}
        assert versions["v1"] == versions["v2"]


def test_every_field_that_users_write_is_described(objects: list[dict[str, Any]]) -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, inner in schema.get("properties", {}).items():
            here = f"{path}.{name}"
            deeper = undescribed(inner, here) + undescribed(inner.get("items", {}), here)
            if "description" not in inner and not deeper and "properties" not in inner:
                found.append(here)
            found += deeper
        return found

    group = next(each for each in objects if each["metadata"]["name"] == "servicegroups.purelb.io")
    spec = group["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert [path for path in undescribed(spec, "spec") if not path.endswith("namespaces")] == []


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
