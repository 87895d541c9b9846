"""What users apply, made from its parts: `python -m manifests.build`, which is `make crds manifests`.

- crds/legacy/: the CRDs of crds/ for API servers before 1.31, without the rules that need CEL's `ip()` and `cidr()`.
- manifests/monitoring/: the PrometheusRule, from rules.yaml, and the dashboard.
- manifests/purelb-complete.yaml, purelb-complete-legacy.yaml: the overlays layer2 and legacy, each in one file.
- charts/purelb/: those templates and CRDs of the chart that say the same as purelb-complete.yaml and the parts of
  manifests/ that are values of it, as bird, monitoring and policy, and its README, from the comments of its values.

A test compares what is there with what this makes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from manifests import alerts, chart, chartreadme, grafana
from manifests.dashboard import ROWS

ROOT: Final = Path(__file__).parents[1]
MONITORING: Final = ROOT / "manifests" / "monitoring"
RULES: Final = "x-kubernetes-validations"
NEW_IN_1_31: Final = re.compile(r"\b(isIP|isCIDR|ip|cidr)\(")
COMPLETE: Final = {"purelb-complete.yaml": "layer2", "purelb-complete-legacy.yaml": "legacy"}
"""File in manifests/: overlay that it is made of."""


def without_new_functions(schema: Any) -> Any:
    """A copy of a schema without the rules that Kubernetes before 1.31 can't compile."""
    if isinstance(schema, list):
        return [without_new_functions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key != RULES:
            kept[key] = without_new_functions(value)
        elif old := [dict(rule) for rule in value if not NEW_IN_1_31.search(rule["rule"])]:
            kept[key] = old
    return kept


class _Plain(yaml.SafeDumper):
    """YAML without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def legacy_crd(text: str) -> str:
    """A CRD's YAML for API servers before 1.31."""
    head = "# Made by `make crds` from the file of the same name in crds/, for Kubernetes before 1.31.\n"
    written: str = yaml.dump(without_new_functions(yaml.safe_load(text)), Dumper=_Plain, sort_keys=False, width=120)
    return head + written


def build(folder: Path) -> str:
    """What a kustomization makes. Raises CalledProcessError if kustomize refuses it."""
    kubectl = Path(sys.executable).with_name("kubectl")
    return subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, check=True, text=True).stdout


def complete(overlay: str) -> str:
    """All objects of an overlay in one file."""
    head = f"# One file that installs all. Made by `make manifests` from manifests/overlays/{overlay}.\n"
    return head + build(ROOT / "manifests" / "overlays" / overlay)


def legacy_crds() -> Iterator[tuple[Path, str]]:
    """Path and text of each file of crds/legacy/."""
    for source in sorted((ROOT / "crds").glob("*.purelb.io.yaml")):
        yield ROOT / "crds" / "legacy" / source.name, legacy_crd(source.read_text())


def monitoring_files() -> Iterator[tuple[Path, str]]:
    """Path and text of each generated file of manifests/monitoring/."""
    yield MONITORING / "prometheusrule.yaml", alerts.prometheus_rule((MONITORING / "rules.yaml").read_text())
    yield MONITORING / "dashboard.json", grafana.dashboard(ROWS)


def complete_files() -> Iterator[tuple[Path, str]]:
    """Path and text of each file that installs all; reads crds/legacy/."""
    for name, overlay in COMPLETE.items():
        yield ROOT / "manifests" / name, complete(overlay)


def chart_files() -> Iterator[tuple[Path, str]]:
    """Path and text of each generated file of the chart; reads manifests/monitoring/."""
    yield from chart.chart_files(complete("layer2"), ROOT / "crds", ROOT / "manifests")
    yield chart.CHART / "README.md", chartreadme.readme(chart.CHART)


if __name__ == "__main__":
    for made in (legacy_crds, monitoring_files, complete_files, chart_files):
        for path, text in made():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
