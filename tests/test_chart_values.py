"""What the chart's values do to what it installs, beyond the sizes and places of tests/test_chart.py."""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmError

from manifests.build import build
from manifests.chart import CHART, is_templated
from manifests.chartreadme import values_of
from tests.charts import ROOT, Json, Key, container, is_hook, manifests, pod, released, render, render_all

WORKLOADS = (("Deployment", "allocator"), ("DaemonSet", "lbnodeagent"), ("DaemonSet", "bird"))
DIGEST = "sha256:" + "0" * 64
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


def documents(path: Path) -> list[Json]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def environment(objects: dict[Key, Json], kind: str, name: str) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container(objects, kind, name)["env"]}


def test_each_program_has_an_image_of_its_own_where_that_is_set(chart: Chart) -> None:
    values = {
        "image": {"repository": "registry.example/purelb", "tag": "v1"},
        "allocator": {"image": {"digest": DIGEST}},
        "lbnodeagent": {"image": {"repository": "other.example/agent", "tag": "v2", "pullPolicy": "Never"}},
        "bird": {"enabled": True},
    }

    images = [container(objects, *workload)["image"] for objects in [render(chart, values)] for workload in WORKLOADS]

    assert images == [
        f"registry.example/purelb/purelb-allocator@{DIGEST}",
        "other.example/agent:v2",
        "registry.example/purelb/purelb-bird:2.0.12",
    ]
    assert container(render(chart, values), "DaemonSet", "lbnodeagent")["imagePullPolicy"] == "Never"


def test_every_pod_says_the_secrets_of_the_registry(chart: Chart) -> None:
    secrets = [{"name": "registry"}]

    objects = render_all(chart, {"imagePullSecrets": secrets, "bird": {"enabled": True}})

    assert [pod(objects, *workload)["imagePullSecrets"] for workload in WORKLOADS] == [secrets] * 3
    assert objects["Pod", "purelb-test"]["spec"]["imagePullSecrets"] == secrets


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_takes_what_a_cluster_may_ask_for(chart: Chart, workload: Key) -> None:
    program = workload[1]
    wishes: Json = {
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "nodeSelector": {"a": "b"},
        "priorityClassName": "important",
        "resources": {"limits": {"memory": "1Gi"}},
        "extraEnv": [{"name": "PURELB_X", "value": "y"}],
        "podAnnotations": {"example.com/a": "b", "prometheus.io/scrape": "false"},
        "podLabels": {"team": "net", "app": "another"},
        "updateStrategy": {"type": "OnDelete"},
    }
    values = {"bird": {"enabled": True}, program: {**wishes, "enabled": True} if program == "bird" else wishes}
    chart.validate_schema(values)

    objects = render(chart, values)

    template = objects[workload]["spec"]["template"]
    for key in ("affinity", "tolerations", "nodeSelector", "priorityClassName"):
        assert template["spec"][key] == wishes[key]
    assert container(objects, *workload)["resources"] == wishes["resources"]
    assert environment(objects, *workload)["PURELB_X"] == "y"
    assert template["metadata"]["annotations"].items() >= wishes["podAnnotations"].items()
    assert template["metadata"]["labels"]["team"] == "net"
    assert objects[workload]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    strategy = "strategy" if program == "allocator" else "updateStrategy"
    assert objects[workload]["spec"][strategy] == {"type": "OnDelete"}


def test_a_sidecar_is_in_the_allocators_pod_with_the_volume_that_both_mount(chart: Chart) -> None:
    page = (ROOT / "docs" / "external-ipam.md").read_text().split("With the chart:")[1]
    values = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    chart.validate_schema(values)

    objects = render(chart, values)

    assert [one["name"] for one in pod(objects, "Deployment", "allocator")["containers"]] == ["allocator", "ipam"]
    assert pod(objects, "Deployment", "allocator")["volumes"] == [{"name": "ipam", "emptyDir": {}}]
    mounts = [{"name": "ipam", "mountPath": "/var/run/purelb"}]
    assert container(objects, "Deployment", "allocator")["volumeMounts"] == mounts
    assert container(objects, "Deployment", "allocator", "ipam")["volumeMounts"] == mounts


def test_an_agent_keeps_its_ledger_beside_volumes_of_ones_own(chart: Chart) -> None:
    extra = {"extraVolumes": [{"name": "tls"}], "extraVolumeMounts": [{"name": "tls", "mountPath": "/etc/tls"}]}

    objects = render(chart, {"lbnodeagent": extra, "bird": {"enabled": True}})

    names = {one["name"] for one in pod(objects, "DaemonSet", "lbnodeagent")["volumes"]}
    assert names == {"ledger", "tls", "bird"}
    assert {one["name"] for one in container(objects, "DaemonSet", "lbnodeagent")["volumeMounts"]} == names


def test_a_single_allocator_can_be_drained(chart: Chart) -> None:
    objects = render(chart, {"allocator": {"replicas": 1}})

    assert objects["Deployment", "allocator"]["spec"]["replicas"] == 1
    assert ("PodDisruptionBudget", "allocator") not in objects


def test_logs_gossip_and_annotations_are_as_the_values_say(chart: Chart) -> None:
    values = {
        "logLevel": "warning",
        "lbnodeagent": {"logLevel": "debug", "gossipProfile": "lan", "announcingFormat": "v2"},
    }

    objects = render(chart, values)

    assert environment(objects, "Deployment", "allocator")["PURELB_LOG_LEVEL"] == "warning"
    agent = environment(objects, "DaemonSet", "lbnodeagent")
    assert (agent["PURELB_LOG_LEVEL"], agent["PURELB_GOSSIP_PROFILE"], agent["PURELB_ANNOUNCING_FORMAT"]) == (
        "debug",
        "lan",
        "v2",
    )


def test_a_prefix_is_in_every_name_and_in_every_reference(chart: Chart) -> None:
    values = {"nameOverride": "lb", "bird": {"enabled": True}}

    objects = render_all(chart, values)

    assert all(name.startswith(("lb-", "lb:")) for _, name in objects)
    for (kind, _), one in objects.items():
        if kind in ("RoleBinding", "ClusterRoleBinding"):
            assert (one["roleRef"]["kind"], one["roleRef"]["name"]) in objects
            assert [("ServiceAccount", subject["name"]) in objects for subject in one["subjects"]] == [True]
    for kind, name in WORKLOADS:
        account = pod(objects, kind, f"lb-{name}").get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in objects
    volumes = pod(objects, "DaemonSet", "lb-bird")["volumes"]
    assert [one["configMap"]["name"] for one in volumes if "configMap" in one] == ["lb-bird-cm"]


def test_a_service_account_that_is_there_gets_the_rights(chart: Chart) -> None:
    values = {
        "allocator": {"serviceAccount": {"create": False, "name": "mine"}},
        "lbnodeagent": {"serviceAccount": {"annotations": {"example.com/role": "x"}}},
    }

    objects = render(chart, values)

    assert ("ServiceAccount", "allocator") not in objects
    assert pod(objects, "Deployment", "allocator")["serviceAccountName"] == "mine"
    assert objects["ClusterRoleBinding", "purelb:allocator"]["subjects"][0]["name"] == "mine"
    assert objects["ServiceAccount", "lbnodeagent"]["metadata"]["annotations"] == {"example.com/role": "x"}


def test_names_that_yaml_takes_for_numbers_or_truths_are_names(chart: Chart) -> None:
    account = {"serviceAccount": {"name": "007"}}
    values = {"allocator": account, "lbnodeagent": account, "serviceGroup": {"create": True, "name": "on"}}

    objects = render_all(chart, values, namespace="42")

    assert ("ServiceGroup", "on") in objects
    assert pod(objects, "Deployment", "allocator")["serviceAccountName"] == "007"
    assert objects["RoleBinding", "purelb:allocator"]["subjects"][0]["name"] == "007"
    assert {one["metadata"].get("namespace", "42") for one in objects.values()} == {"42"}


def test_with_bird_it_is_the_overlay_for_ecmp(chart: Chart) -> None:
    values = {"bird": {"enabled": True, "uplink": "10.31.254.251", "controlPlane": True}}
    overlay = yaml.safe_load_all(build(ROOT / "manifests" / "overlays" / "ecmp"))
    wanted = released(one for one in overlay if one and is_templated(one))

    rendered = render(chart, values)

    def sorted_lists(node: Any) -> Any:
        """The order of volumes, environment and capabilities means nothing."""
        if isinstance(node, dict):
            return {key: sorted_lists(value) for key, value in node.items()}
        return sorted(map(sorted_lists, node), key=repr) if isinstance(node, list) else node

    assert rendered.keys() == wanted.keys()
    for key in wanted:
        assert sorted_lists(rendered[key]) == sorted_lists(wanted[key]), key


def test_birds_values_reach_its_pod(chart: Chart) -> None:
    values = {"bird": {"enabled": True, "nodeAS": 4200000000, "config": "log stderr all;\n", "agentWaits": False}}

    objects = render(chart, values)

    assert environment(objects, "DaemonSet", "bird")["NODE_AS"] == "4200000000"
    assert objects["ConfigMap", "bird-cm"]["data"] == {"bird.conf": "log stderr all;\n"}
    assert "PURELB_BIRD_SOCKET" not in environment(objects, "DaemonSet", "lbnodeagent")


@pytest.mark.parametrize("config", ["  log stderr all;\nprotocol device {}\n", "\n\tlog stderr all;\n\n  # end\n"])
def test_a_configuration_of_birds_is_taken_as_it_is_however_it_is_indented(chart: Chart, config: str) -> None:
    objects = render(chart, {"bird": {"enabled": True, "config": config}})

    assert objects["ConfigMap", "bird-cm"]["data"] == {"bird.conf": config}


@pytest.mark.parametrize(
    ("values", "file"),
    [
        ({"monitoring": {"podMonitor": {"enabled": True}}}, "monitoring/podmonitor.yaml"),
        ({"monitoring": {"serviceMonitor": {"enabled": True}}}, "monitoring/servicemonitor.yaml"),
        ({"monitoring": {"prometheusRule": {"enabled": True}}}, "monitoring/prometheusrule.yaml"),
        ({"networkPolicy": {"enabled": True}}, "networkpolicy/allocator.yaml"),
        ({"agentPolicy": {"enabled": True}}, "policy/agent-writes.yaml"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_switched_on_is_what_the_manifests_have(chart: Chart, values: Json, file: str) -> None:
    rendered = render(chart, values)

    for key, one in released(documents(ROOT / "manifests" / file)).items():
        if not one["kind"].startswith("ValidatingAdmissionPolicy"):
            one["metadata"]["namespace"] = "purelb"
        assert rendered.pop(key) == one
    assert rendered.keys() == manifests().keys()


def test_a_runbook_is_where_the_repository_s_files_are_published(chart: Chart) -> None:
    for published in ("", "https://forge.example/purelb/"):
        values = {"monitoring": {"prometheusRule": {"enabled": True}, "runbooks": published}}
        first = render(chart, values)["PrometheusRule", "purelb"]["spec"]["groups"][0]["rules"][0]

        assert first["annotations"]["runbook_url"] == f"{published}docs/runbooks/{first['alert']}.md"


def test_metrics_over_tls_are_what_the_component_makes_of_both_programs(chart: Chart, tmp_path: Path) -> None:
    above = os.path.relpath(ROOT / "manifests", tmp_path.resolve())
    kustomization = {"resources": [f"{above}/overlays/layer2"], "components": [f"{above}/metrics-tls"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    made = released(one for one in yaml.safe_load_all(build(tmp_path)) if one)

    rendered = render(chart, {"monitoring": {"tls": {"enabled": True}, "podMonitor": {"enabled": True}}})

    monitor = rendered.pop(("PodMonitor", "purelb"))
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "metrics-tls"
    for (kind, name), one in rendered.items():
        wanted = made[kind, name]
        if kind in ("Deployment", "DaemonSet"):
            pods = (each["spec"]["template"]["spec"] for each in (one, wanted))
            assert [about_tls(pod) for pod in pods] == [about_tls(wanted["spec"]["template"]["spec"])] * 2
        if name.startswith("purelb:metrics"):
            assert one == wanted
    assert {"purelb:metrics-reviewer", "purelb:metrics-reader"} <= {name for _, name in rendered}


def about_tls(pod: Json) -> Json:
    """What a pod has for metrics over TLS."""
    (container,) = pod["containers"]
    return {
        "env": [one for one in container["env"] if one["name"] == "PURELB_METRICS_TLS"],
        "ports": [one for one in container["ports"] if one["name"] == "metrics-tls"],
        "mounts": [one for one in container["volumeMounts"] if one["name"] == "metrics-tls"],
        "volumes": [one for one in pod["volumes"] if one["name"] == "metrics-tls"],
    }


def test_the_monitors_endpoint_takes_what_tls_needs(chart: Chart) -> None:
    endpoint = {"scheme": "https", "tlsConfig": {"serverName": "purelb-metrics"}}
    values = {"monitoring": {"tls": {"enabled": True}, "serviceMonitor": {"enabled": True}, "endpoint": endpoint}}

    rendered = render(chart, values)

    assert rendered["ServiceMonitor", "purelb"]["spec"]["endpoints"][0].items() >= endpoint.items()
    assert rendered["Service", "purelb-metrics"]["spec"]["ports"][0]["targetPort"] == "metrics-tls"


def test_monitoring_takes_the_labels_that_an_operator_looks_for(chart: Chart) -> None:
    values = {"monitoring": {"labels": {"release": "prometheus"}, "interval": "30s", "podMonitor": {"enabled": True}}}

    monitor = render(chart, values)["PodMonitor", "purelb"]

    assert {"app": "purelb", "release": "prometheus"}.items() <= monitor["metadata"]["labels"].items()
    assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "30s"


def test_the_policy_is_about_the_agents_of_this_release(chart: Chart) -> None:
    values = {
        "agentPolicy": {"enabled": True},
        "lbnodeagent": {"serviceAccount": {"name": "ours"}},
        "nameOverride": "lb",
    }

    objects = render(chart, values, namespace="net")

    policies = {name: one["spec"] for (kind, name), one in objects.items() if kind == "ValidatingAdmissionPolicy"}
    assert set(policies) == {"lb-purelb-agent-writes", "lb-purelb-agent-leases"}
    for name, spec in policies.items():
        (condition,) = spec["matchConditions"]
        assert condition["expression"] == "request.userInfo.username == 'system:serviceaccount:net:ours'"
        assert objects["ValidatingAdmissionPolicyBinding", name]["spec"]["policyName"] == name


def test_labels_of_ones_own_are_on_all_objects_and_never_in_the_place_of_a_selectors(chart: Chart) -> None:
    values = {"commonLabels": {"team": "net", "app": "other", "component": "other"}, "bird": {"enabled": True}}

    objects = render_all(chart, values)

    assert {one["metadata"]["labels"]["team"] for one in objects.values()} == {"net"}
    for workload in WORKLOADS:
        spec = objects[workload]["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert spec["template"]["metadata"]["labels"]["team"] == "net"


def test_a_netbox_on_another_port_is_let_through(chart: Chart) -> None:
    rule = {"ports": [{"protocol": "TCP", "port": 8080}]}

    policy = render(chart, {"networkPolicy": {"enabled": True, "extraEgress": [rule]}})["NetworkPolicy", "allocator"]

    assert policy["spec"]["egress"][-1] == rule


@pytest.mark.parametrize(("version", "folder"), [("v1.30.14+k3s1", "crds/legacy"), ("v1.31.0", "crds")])
def test_managed_crds_are_those_for_the_server_and_stay(tmp_path: Path, version: str, folder: str) -> None:
    shutil.copytree(CHART, tmp_path / "purelb")
    template = tmp_path / "purelb" / "templates" / "crds.yaml"
    template.write_text(template.read_text().replace(".Capabilities.KubeVersion.Version", f'"{version}"'))
    with Chart.load(tmp_path / "purelb") as chart:
        rendered = render(chart, {"crds": {"managed": True}})

    wanted = [one for file in sorted((ROOT / folder).glob("*.purelb.io.yaml")) for one in documents(file)]
    assert len(wanted) == 3
    for one in wanted:
        found = copy.deepcopy(rendered[one["kind"], one["metadata"]["name"]])
        assert found["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert found == one


def test_an_upgrade_that_reuses_the_values_of_before_changes_nothing(chart: Chart) -> None:
    before: Json = {
        key: VALUES[key]
        for key in ("image", "defaultAnnouncer", "memberlistSecretKey", "priorityClassName", "serviceGroup")
    }
    old_names = {
        "allocator": ("resources", "nodeSelector", "tolerations", "securityContext", "containerSecurityContext"),
        "lbnodeagent": ("localInterface", "placement", "nodeLease", "resources", "nodeSelector", "tolerations"),
    }
    forgotten: Json = {key: None for key in VALUES if key not in {**before, **old_names, "gobgp": {}}}
    for program, names in old_names.items():
        forgotten[program] = {key: None for key in VALUES[program] if key not in names}

    assert render(chart, forgotten) == manifests()


def test_the_schema_knows_every_value_and_no_other(chart: Chart) -> None:
    def keys(schema: Json, prefix: str = "") -> set[str]:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        inner = schema.get("properties")
        if not inner:
            return {prefix.removesuffix(".")}
        return set().union(*(keys(one, f"{prefix}{name}.") for name, one in inner.items()))

    named = {one.key for one in values_of((CHART / "values.yaml").read_text())}
    assert {key for key in keys(SCHEMA) if key != "global"} == {
        "gobgp" if key == "gobgp.enabled" else key for key in named
    }
    chart.validate_schema(VALUES)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"allocator": {"replicas": 0}}, "replicas"),
        ({"lbnodeagent": {"image": {"digest": "latest"}}}, "digest"),
        ({"lbnodeagent": {"gossipProfile": "wan"}}, "gossipProfile"),
        ({"logLevel": "trace"}, "logLevel"),
        ({"nameOverride": "Not_a_name"}, "nameOverride"),
        ({"bird": {"nodeAS": 4294967296}}, "nodeAS"),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
        ({"allocator": {"podLabels": {"tier": 1}}}, "podLabels"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(chart: Chart, values: Json, sentence: str) -> None:
    with pytest.raises(HelmError, match=sentence):
        chart.validate_schema(values)


def test_each_value_says_what_it_means() -> None:
    assert [one.key for one in values_of((CHART / "values.yaml").read_text()) if not one.meaning] == []


@pytest.mark.parametrize("created", [False, True])
def test_the_notes_say_what_to_do_next(chart: Chart, created: bool) -> None:
    texts = chart.render(values={"serviceGroup": {"create": created}}, name="lb", namespace="net", is_install=True)

    notes = texts["purelb/templates/NOTES.txt"]
    assert "helm test lb -n net" in notes
    assert ("kind: ServiceGroup" in notes) is not created


def test_the_notes_of_an_upgrade_speak_of_the_crds(chart: Chart) -> None:
    notes = chart.render(name="lb", namespace="net", is_install=False, is_upgrade=True)["purelb/templates/NOTES.txt"]

    assert "Helm never changes CRDs" in notes


def test_what_is_for_helm_test_alone_is_a_hook(chart: Chart) -> None:
    hooks = {key for key, one in render_all(chart).items() if is_hook(one)}

    assert hooks == {(kind, "purelb-test") for kind in ("ServiceAccount", "Role", "RoleBinding", "Pod")}


def test_artifact_hub_is_told_of_every_image_and_shows_the_icon(chart: Chart) -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    objects = render(chart, {"bird": {"enabled": True}})

    told = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    assert [(one["name"], one["image"]) for one in told] == [
        (name, container(objects, kind, name)["image"]) for kind, name in WORKLOADS
    ]
    kind, _, icon = about["icon"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(icon) == (CHART / "icon.svg").read_bytes().strip()


def test_artifact_hub_is_told_of_every_crd() -> None:
    told = yaml.safe_load(yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]["artifacthub.io/crds"])

    crds = [one for file in sorted((ROOT / "crds").glob("*.purelb.io.yaml")) for one in documents(file)]
    assert {(one["kind"], one["name"]) for one in told} == {
        (one["spec"]["names"]["kind"], one["metadata"]["name"]) for one in crds
    }
