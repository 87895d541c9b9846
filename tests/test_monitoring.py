"""What is there for Prometheus and Grafana: it asks for metrics that exist, of pods of ours, and each alert fires."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from manifests.build import MONITORING, monitoring_files
from manifests.dashboard import panels
from purelb.flowmetrics import FlowMetrics
from purelb.metrics import AgentMetrics, AllocatorMetrics, RouterMetrics, new_registry
from purelb.names import METRICS_TLS_PORT
from tests.alerts import FAULTS, promtool_test

ROOT = Path(__file__).parents[1] / "manifests"
RUNBOOKS = ROOT.parent / "docs" / "runbooks"
RULES = [rule for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
QUERIES = [(f"{panel.title}: {query.legend}", query.expr) for panel in panels() for query in panel.queries]
OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
DERIVED = re.compile(r"_(bucket|count|sum)$")


def shown() -> set[str]:
    """The names of all metrics on both programs' pages."""
    pages = ""
    for metrics in (AllocatorMetrics, AgentMetrics, RouterMetrics, FlowMetrics):
        registry = new_registry()
        metrics(registry)
        pages += generate_latest(registry).decode()
    return set(re.findall(r"^# TYPE (\S+) ", pages, re.MULTILINE))


def unknown(question: str) -> set[str]:
    """The metrics of a query that no program shows."""
    promql_parser.parse(question.replace("$__rate_interval", "1m"))
    asked = set(re.findall(r"\b(?:purelb_\w+|process_\w+|up\b)", question))
    assert asked
    there = shown() | OTHERS
    return {name for name in asked if name not in there and DERIVED.sub("", name) not in there}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    assert unknown(rule["expr"]) == set()


@pytest.mark.parametrize("question", [expr for _, expr in QUERIES], ids=[name for name, _ in QUERIES])
def test_the_dashboard_asks_for_metrics_that_exist(question: str) -> None:
    assert unknown(question) == set()


def test_what_is_made_from_rules_and_panels_is_up_to_date() -> None:
    for path, text in monitoring_files():
        assert path.read_text() == text, f"{path.name} is old, run: make manifests"


def test_no_panel_lies_on_another_one_and_each_has_an_id_of_its_own() -> None:
    shown = json.loads((MONITORING / "dashboard.json").read_text())["panels"]

    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in shown)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in shown}) == len(shown)


def test_after_an_hour_each_fault_fires_its_alert_and_no_other_one_and_health_fires_none(tmp_path: Path) -> None:
    assert FAULTS.keys() == {rule["alert"] for rule in RULES}
    file = tmp_path / "faults.yaml"
    file.write_text(json.dumps(promtool_test(str(MONITORING / "rules.yaml"))))

    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    named = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in RULES}

    assert named == {alert: f"docs/runbooks/{alert}.md" for alert in named}
    assert {page.stem for page in RUNBOOKS.glob("PureLB*.md")} == named.keys()
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\((PureLB\w+)\.md\)", index)) == named.keys()


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("PureLB*.md")), ids=lambda page: page.stem)
def test_a_runbook_says_what_it_means_where_to_look_and_what_mends_it(page: Path) -> None:
    title, *parts = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)

    assert title.startswith(f"# {page.stem}\n\n")
    assert [part.partition("\n")[0] for part in parts] == ["Look", "Mend"]
    assert len(page.read_text().splitlines()) <= 40


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_is_one_sentence_and_names_only_labels_that_are_there(rule: dict[str, Any]) -> None:
    summary = rule["annotations"]["summary"]

    assert summary.endswith(".")
    assert rule["annotations"]["description"].endswith(".")
    assert rule["labels"]["severity"] in ("warning", "critical")
    labels = {
        "node",
        "pod",
        "component",
        "pool",
        "ip",
        "rule",
        "subject",
        "config",
        "reason",
        "request",
        "part",
        "check",
    }
    assert set(re.findall(r"\$labels\.(\w+)", summary)) <= labels


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


def test_a_prometheus_without_the_operator_looks_for_the_same_pods_and_gives_the_same_labels() -> None:
    scrape = yaml.safe_load((MONITORING / "scrape.yaml").read_text())
    (monitor,) = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text())["spec"]["podMetricsEndpoints"]
    keep, *relabelings = scrape["scrape_configs"][0]["relabel_configs"]

    theirs = {tuple(one["sourceLabels"]): one["targetLabel"] for one in monitor["relabelings"]}
    ours = {tuple(one["source_labels"]): one["target_label"] for one in relabelings}
    assert theirs.items() <= ours.items()
    assert {"namespace", "pod"} == {*ours.values()} - {*theirs.values()}, "which the operator gives by itself"
    assert keep["regex"] == f"purelb;{monitor['port']}"
    assert scrape["rule_files"] == ["rules.yaml"]


def test_the_network_policy_is_about_the_allocator_alone_and_lets_its_probes_in() -> None:
    policy = yaml.safe_load((ROOT / "networkpolicy" / "allocator.yaml").read_text())["spec"]

    selected = [
        template
        for template in pod_templates()
        if policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ]

    assert [template["metadata"]["labels"]["component"] for template in selected] == ["allocator"]
    assert [port["port"] for port in policy["ingress"][0]["ports"]] == [7472, METRICS_TLS_PORT]
