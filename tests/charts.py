"""The Helm chart rendered by Helm's own library, for the tests that look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

from manifests.chart import is_templated

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


def manifests() -> dict[Key, Json]:
    """What purelb-complete.yaml installs besides the CRDs and the namespace."""
    documents = yaml.safe_load_all((ROOT / "manifests" / "purelb-complete.yaml").read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one and is_templated(one)}


def pod(objects: dict[Key, Json], kind: str, name: str) -> Json:
    spec: Json = objects[kind, name]["spec"]["template"]["spec"]
    return spec


def container(objects: dict[Key, Json], kind: str, name: str, called: str = "") -> Json:
    """The container of a program, which has its name unless it is `called` otherwise."""
    found: Json = next(one for one in pod(objects, kind, name)["containers"] if one["name"] == (called or name))
    return found
