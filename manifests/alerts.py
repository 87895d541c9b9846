"""The alerts for the Prometheus operator, from the rules that a plain Prometheus reads."""

from __future__ import annotations

from typing import Any, Final

import yaml

HEAD: Final = "# Made by `make manifests` from rules.yaml, for the Prometheus operator.\n"


def prometheus_rule(rules: str) -> str:
    """The PrometheusRule of a rules file."""
    body: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "purelb", "labels": {"app": "purelb", "app.kubernetes.io/component": "monitoring"}},
        "spec": yaml.safe_load(rules),
    }
    written: str = yaml.safe_dump(body, sort_keys=False, width=120)
    return HEAD + written
