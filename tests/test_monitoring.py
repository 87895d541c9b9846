"""The samples for Prometheus: every metric that an alert asks for exists, and every scraped pod is one of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from purelb.metrics import AgentMetrics, AllocatorMetrics, new_registry

ROOT = Path(__file__).parents[1] / "manifests"
MONITORING = ROOT / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
DERIVED = re.compile(r"_(bucket|count|sum)$")


def shown() -> set[str]:
    """The names of all metrics on both programs' pages."""
    pages = ""
    for metrics in (AllocatorMetrics, AgentMetrics):
        registry = new_registry()
        metrics(registry)
        pages += generate_latest(registry).decode()
    return set(re.findall(r"^# TYPE (\S+) ", pages, re.MULTILINE))


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])

    asked = set(re.findall(r"\bpurelb_\w+", rule["expr"]))

    assert asked
    assert {DERIVED.sub("", name) if name not in shown() else name for name in asked} <= shown()


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_is_one_sentence_and_names_only_labels_that_are_there(rule: dict[str, Any]) -> None:
    summary = rule["annotations"]["summary"]

    assert summary.endswith(".")
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(re.findall(r"\$labels\.(\w+)", summary)) <= {"node", "pod", "pool"}


def pod_templates() -> list[dict[str, Any]]:
    documents = (
        body
        for name in ("allocator", "lbnodeagent")
        for body in yaml.safe_load_all((ROOT / "base" / f"{name}.yaml").read_text())
    )
    return [body["spec"]["template"] for body in documents if body["kind"] in ("Deployment", "DaemonSet")]


def test_what_is_scraped_are_our_pods() -> None:
    monitor = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text())["spec"]
    service, _ = yaml.safe_load_all((MONITORING / "servicemonitor.yaml").read_text())

    for template in pod_templates():
        ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
        for selector in (monitor["selector"]["matchLabels"], service["spec"]["selector"]):
            assert selector.items() <= template["metadata"]["labels"].items()
        assert monitor["podMetricsEndpoints"][0]["port"] in ports
        assert service["spec"]["ports"][0]["targetPort"] in ports


def test_whoever_scrapes_them_gives_their_metrics_the_labels_that_alerts_name() -> None:
    pods = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text())["spec"]["podMetricsEndpoints"]
    _, services = yaml.safe_load_all((MONITORING / "servicemonitor.yaml").read_text())

    assert services["spec"]["endpoints"][0]["relabelings"] == pods[0]["relabelings"]


def test_the_network_policy_is_about_the_allocator_alone_and_lets_its_probes_in() -> None:
    policy = yaml.safe_load((ROOT / "networkpolicy" / "allocator.yaml").read_text())["spec"]

    selected = [
        template
        for template in pod_templates()
        if policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ]

    assert [template["metadata"]["labels"]["component"] for template in selected] == ["allocator"]
    assert policy["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 7472}]
