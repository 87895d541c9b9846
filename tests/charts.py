"""The Helm chart rendered by Helm's own library, for the tests that look at it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

from manifests.chart import CHART, is_templated

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]
Key = tuple[str, str]
"""Kind and name."""


def render_all(chart: Chart, values: Json | None = None, namespace: str = "purelb", **more: Any) -> dict[Key, Json]:
    """All objects of a release, hooks too."""
    texts = chart.render(values=values, name="purelb", namespace=namespace, **more)
    objects = [
        one for name, text in texts.items() if not name.endswith("NOTES.txt") for one in yaml.safe_load_all(text) if one
    ]
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def is_hook(obj: Json) -> bool:
    return "helm.sh/hook" in (obj["metadata"].get("annotations") or {})


def render(chart: Chart, values: Json | None = None, namespace: str = "purelb", **more: Any) -> dict[Key, Json]:
    """All objects that a release installs."""
    objects = render_all(chart, values, namespace, **more)
    return {key: one for key, one in objects.items() if not is_hook(one)}


def released(objects: Iterable[Json]) -> dict[Key, Json]:
    """Objects of the manifests as those of the release `purelb`, which differ by labels alone."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    common = {f"app.kubernetes.io/{key}": "purelb" for key in ("name", "part-of", "instance")}
    common["app.kubernetes.io/version"] = about["appVersion"]
    of_objects = {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": f"purelb-{about['version']}"}
    found: dict[Key, Json] = {}
    for one in objects:
        metadata = one["metadata"]
        metadata["labels"] = common | of_objects | metadata.get("labels", {})
        if one["kind"] in ("Deployment", "DaemonSet"):
            pods = one["spec"]["template"]["metadata"]
            pods["labels"] = common | pods["labels"]
        found[one["kind"], metadata["name"]] = one
    return found


def manifests() -> dict[Key, Json]:
    """What purelb-complete.yaml installs besides the CRDs and the namespace, with the labels of a release."""
    documents = yaml.safe_load_all((ROOT / "manifests" / "purelb-complete.yaml").read_text())
    return released(one for one in documents if one and is_templated(one))


def pod(objects: dict[Key, Json], kind: str, name: str) -> Json:
    spec: Json = objects[kind, name]["spec"]["template"]["spec"]
    return spec


def container(objects: dict[Key, Json], kind: str, name: str, called: str = "") -> Json:
    """The container of a program, which has its name unless it is `called` otherwise."""
    found: Json = next(one for one in pod(objects, kind, name)["containers"] if one["name"] == (called or name))
    return found
