"""The labels that Kubernetes recommends: on all that is applied, in no selector, and over workloads without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.build import build
from tests.install.conftest import Kubectl

ROOT = Path(__file__).parents[2]
BEFORE = Path(__file__).with_name("unlabelled-workloads.yaml")
APPLIED = ["crds", "crds/legacy", "manifests/overlays/ecmp", "manifests/overlays/legacy", "manifests/monitoring"]
APPLIED += ["manifests/networkpolicy", "manifests/plugin", "manifests/policy"]
WORKLOADS = ("deployment/allocator", "daemonset/lbnodeagent", "daemonset/bird", "poddisruptionbudget/allocator")


def selectors(node: Any) -> Iterator[str]:
    """The keys of labels that any selector below a node asks for."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("selector", "podSelector", "labelSelector"):
                yield from value.get("matchLabels", value)
            else:
                yield from selectors(value)
    elif isinstance(node, list):
        for one in node:
            yield from selectors(one)


@pytest.mark.parametrize("folder", APPLIED)
def test_all_that_is_applied_says_what_it_belongs_to_and_no_selector_goes_by_it(folder: str) -> None:
    version = yaml.safe_load((ROOT / "charts/purelb/Chart.yaml").read_text())["appVersion"]

    for one in filter(None, yaml.safe_load_all(build(ROOT / folder))):
        labels = one["metadata"]["labels"]
        told = {key.removeprefix("app.kubernetes.io/"): value for key, value in labels.items()}
        assert (told["name"], told["part-of"]) == ("purelb", "purelb")
        assert told["version"] == ("2.0.12" if told.get("component") == "bird" else version)
        assert ("component" in told) == (one["kind"] not in ("CustomResourceDefinition", "Namespace"))
        assert not [key for key in selectors(one.get("spec", {})) if key.startswith("app.kubernetes.io/")]


def test_workloads_from_before_them_are_upgraded_in_place(kubectl: Kubectl) -> None:
    def look() -> list[dict[str, Any]]:
        found = kubectl("get", "-n", "purelb", *WORKLOADS, "-o", "json")
        items: list[dict[str, Any]] = json.loads(found.stdout)["items"]
        return items

    applied = kubectl("apply", "-f", str(BEFORE))
    before = look()
    upgraded = kubectl("apply", "-k", str(ROOT / "manifests" / "overlays" / "ecmp"))
    after = look()

    assert (applied.returncode, upgraded.returncode) == (0, 0), upgraded.stderr
    assert len(before) == len(WORKLOADS)
    for old, new in zip(before, after, strict=True):
        assert new["metadata"]["uid"] == old["metadata"]["uid"]
        assert new["spec"]["selector"] == old["spec"]["selector"]
        assert new["metadata"]["labels"]["app.kubernetes.io/part-of"] == "purelb"
        if template := new["spec"].get("template"):
            assert new["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_a_selector_that_went_by_them_would_be_refused(kubectl: Kubectl) -> None:
    (daemons,) = (one for one in yaml.safe_load_all(BEFORE.read_text()) if one["metadata"]["name"] == "bird")
    daemons["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "purelb"
    daemons["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = "purelb"

    done = kubectl("apply", "-f", "-", document=yaml.safe_dump(daemons))

    assert done.returncode == 1
    assert "field is immutable" in done.stderr
