"""The Helm chart, rendered by Helm's own library: with no values given it is what the manifests install."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmError
from helm_python.chart import lint

from manifests.build import chart_files
from manifests.chart import CHART
from tests.charts import ROOT, Json, container, manifests, render


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


def test_what_is_generated_is_up_to_date() -> None:
    for path, text in chart_files():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: make manifests"


def test_without_values_it_installs_what_the_manifests_do(chart: Chart) -> None:
    rendered, wanted = render(chart), manifests()

    assert rendered.keys() == wanted.keys()
    for key in wanted:
        assert rendered[key] == wanted[key], key


def test_it_brings_the_crds(chart: Chart) -> None:
    brought = {one["name"]: yaml.safe_load(one["data"]) for one in chart.crds}

    wanted = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "crds").glob("*.purelb.io.yaml"))]
    assert sorted(brought.values(), key=lambda crd: str(crd["metadata"]["name"])) == sorted(
        wanted, key=lambda crd: str(crd["metadata"]["name"])
    )


def test_a_release_is_at_home_in_any_namespace(chart: Chart) -> None:
    elsewhere = render(chart, namespace="purelb-system")

    def move(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: "purelb-system" if key == "namespace" and value == "purelb" else move(value)
                for key, value in node.items()
            }
        return [move(one) for one in node] if isinstance(node, list) else node

    assert elsewhere == {key: move(one) for key, one in copy.deepcopy(manifests()).items()}


def test_helm_finds_nothing_to_complain_of() -> None:
    report = lint(CHART, strict=True)

    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


def test_images_come_from_where_the_values_say(chart: Chart) -> None:
    values = {"image": {"repository": "registry.example/purelb", "tag": "v1", "pullPolicy": "Always"}}

    objects = render(chart, values)

    for kind, name in (("Deployment", "allocator"), ("DaemonSet", "lbnodeagent")):
        found = container(objects, kind, name)
        assert (found["image"], found["imagePullPolicy"]) == (f"registry.example/purelb/purelb-{name}:v1", "Always")


def test_a_tag_alone_keeps_the_local_names(chart: Chart) -> None:
    objects = render(chart, {"image": {"tag": "v2"}})

    assert container(objects, "Deployment", "allocator")["image"] == "purelb-allocator:v2"


def test_each_program_can_be_sized_and_placed(chart: Chart) -> None:
    tolerations = [{"operator": "Exists"}]
    values = {
        "priorityClassName": "important",
        "allocator": {"resources": {"limits": {"memory": "1Gi"}}, "nodeSelector": {"a": "b"}},
        "lbnodeagent": {"tolerations": tolerations, "containerSecurityContext": {"privileged": True}},
        "securityContext": {"runAsUser": 7},
    }

    objects = render(chart, values)

    pods = {
        key: one["spec"]["template"]["spec"] for key, one in objects.items() if key[0] in ("Deployment", "DaemonSet")
    }
    assert [pod["priorityClassName"] for pod in pods.values()] == ["important"] * 2
    assert container(objects, "Deployment", "allocator")["resources"] == {"limits": {"memory": "1Gi"}}
    assert pods["Deployment", "allocator"]["nodeSelector"] == {"a": "b"}
    assert pods["Deployment", "allocator"]["securityContext"] == {"runAsUser": 7}
    assert pods["DaemonSet", "lbnodeagent"]["tolerations"] == tolerations
    assert container(objects, "DaemonSet", "lbnodeagent")["securityContext"] == {"privileged": True}
    wanted = container(manifests(), "DaemonSet", "lbnodeagent")["resources"]
    assert container(objects, "DaemonSet", "lbnodeagent")["resources"] == wanted


def test_another_announcer_may_be_the_clusters_default(chart: Chart) -> None:
    environment = container(render(chart, {"defaultAnnouncer": "other"}), "Deployment", "allocator")["env"]

    assert {"name": "DEFAULT_ANNOUNCER", "value": "other"} in environment


def test_addresses_that_are_never_given_reach_the_allocator(chart: Chart) -> None:
    values = {"forbiddenAddresses": ["10.31.255.254", "10.32.0.0/24"]}

    environment = container(render(chart, values), "Deployment", "allocator")["env"]

    assert {"name": "PURELB_FORBIDDEN_ADDRESSES", "value": "10.31.255.254,10.32.0.0/24"} in environment


def test_the_status_page_is_off_unless_it_is_asked_for(chart: Chart) -> None:
    def environment(values: dict[str, Any]) -> dict[str, str]:
        listed = container(render(chart, {"allocator": values}), "Deployment", "allocator")["env"]
        return {one["name"]: one["value"] for one in listed if one["name"].startswith("PURELB_PAGE")}

    assert environment({}) == {}
    assert environment({"page": {"enabled": True}}) == {"PURELB_PAGE_PORT": "7474"}
    assert environment({"page": {"enabled": True, "host": "::", "names": ["a.example", "b.example"]}}) == {
        "PURELB_PAGE_PORT": "7474",
        "PURELB_PAGE_HOST": "::",
        "PURELB_PAGE_NAMES": "a.example,b.example",
    }


def test_a_gossip_key_of_ones_own_reaches_the_agents_by_a_secret(chart: Chart) -> None:
    objects = render(chart, {"memberlistSecretKey": "0123456789abcdef"})

    environment = container(objects, "DaemonSet", "lbnodeagent")["env"]
    reference = next(one["valueFrom"]["secretKeyRef"] for one in environment if one["name"] == "ML_GROUP")
    secret = objects["Secret", reference["name"]]
    assert secret["stringData"] == {reference["key"]: "0123456789abcdef"}


def test_first_objects_can_be_had_with_the_release(chart: Chart) -> None:
    spec = {"local": {"v4pool": {"subnet": "10.1.0.0/24", "pool": "10.1.0.8-10.1.0.9", "aggregation": "default"}}}
    values = {
        "serviceGroup": {"create": True, "spec": spec},
        "lbnodeagent": {"localint": "eth1", "sendgarp": False, "placement": "even"},
        "extraObjects": ["{apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-extra'}}"],
    }

    objects = render(chart, values)

    assert objects["ServiceGroup", "default"]["spec"] == spec
    local = {"localint": "eth1", "sendgarp": False, "placement": "even"}
    assert objects["LBNodeAgent", "default"]["spec"] == {"local": local}
    assert ("ConfigMap", "purelb-extra") in objects


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"metrics": {}}, "metrics"),
        ({"memberlistSecretKey": "short"}, "memberlistSecretKey"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"lbnodeagent": {"sendgarp": "no"}}, "sendgarp"),
        ({"lbnodeagent": {"placement": "odd"}}, "placement"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(chart: Chart, values: Json, sentence: str) -> None:
    with pytest.raises(HelmError, match=sentence):
        chart.validate_schema(values)


def test_the_values_of_v0_17_are_understood(chart: Chart) -> None:
    tolerations = [{"key": "dedicated", "operator": "Exists"}]
    values = {
        "nameOverride": "",
        "gobgp": {"enabled": False, "image": {"tag": "0.2.2"}},
        "Prometheus": {"allocator": {"Metrics": {"enabled": False}, "prometheusRules": {"rules": []}}},
        "allocator": {
            "tolerations": tolerations,
            "securityContext": {"runAsUser": 7},
            "containerSecurityContext": {"readOnlyRootFilesystem": True},
        },
        "lbnodeagent": {"localInterface": "eth1", "dummyInterface": "lb0", "garpConfig": {"enabled": True, "count": 2}},
    }
    chart.validate_schema(values)

    objects = render(chart, values)

    pod = objects["Deployment", "allocator"]["spec"]["template"]["spec"]
    assert (pod["tolerations"], pod["securityContext"]) == (tolerations, {"runAsUser": 7})
    context = container(objects, "Deployment", "allocator")["securityContext"]
    assert context == {"readOnlyRootFilesystem": True}
    assert objects["LBNodeAgent", "default"]["spec"] == {
        "local": {
            "localInterface": "eth1",
            "dummyInterface": "lb0",
            "garpConfig": {"enabled": True, "count": 2},
        }
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"leaseConfig": {"leaseDuration": "10s"}}, "agents elect by gossip"),
        ({"gobgp": {"enabled": True}}, "let BIRD or FRR export the routes"),
        (
            {"Prometheus": {"lbnodeagent": {"serviceMonitor": {"enabled": True}}}},
            "Prometheus.lbnodeagent.serviceMonitor: set it to false; monitoring.podMonitor.enabled",
        ),
    ],
)
def test_what_only_v0_17_s_chart_can_do_is_refused_with_the_way_to_have_it_here(
    chart: Chart, values: Json, sentence: str
) -> None:
    with pytest.raises(HelmError, match=sentence):
        render(chart, values)


@pytest.mark.parametrize("value", ["leaseConfig", "gobgp", "Prometheus"])
def test_who_takes_a_value_of_v0_17_out_altogether_asks_for_nothing(chart: Chart, value: str) -> None:
    assert render(chart, {value: None}).keys() == manifests().keys()


def test_without_leases_of_nodes_there_is_no_right_to_them_either(chart: Chart) -> None:
    objects = render(chart, {"lbnodeagent": {"nodeLease": False}})

    assert {"name": "PURELB_NODE_LEASE", "value": "false"} in container(objects, "DaemonSet", "lbnodeagent")["env"]
    assert objects.keys() == manifests().keys() - {
        ("Role", "purelb:lbnodeagent-lease"),
        ("RoleBinding", "purelb:lbnodeagent-lease"),
    }


def test_both_programs_log_for_people_where_that_is_set(chart: Chart) -> None:
    objects = render(chart, {"logFormat": "text"})

    for kind, name in (("DaemonSet", "lbnodeagent"), ("Deployment", "allocator")):
        assert {"name": "PURELB_LOG_FORMAT", "value": "text"} in container(objects, kind, name)["env"]
