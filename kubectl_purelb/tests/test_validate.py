"""`kubectl purelb validate`: what is wrong with a configuration, in a cluster or in files without one."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from clusters import Json, document_of
from kubectl_purelb.__main__ import main
from kubectl_purelb.commands.validate import validate
from kubectl_purelb.manifests import read_manifests
from kubectl_purelb.validation.objects import gathered
from purelb.addresses import parse_network
from purelb.errors import SettingsError

SUBNET = "10.31.0.0/16"


def group(name: str = "wire", pool: str = "10.31.188.64-10.31.188.126", *, version: str = "v1", **spec: Any) -> Json:
    managed = [{"apiVersion": f"purelb.io/{version}", "fieldsV1": {"f:spec": {}}}]
    return {
        "apiVersion": f"purelb.io/{version}",
        "kind": "ServiceGroup",
        "metadata": {"name": name, "namespace": "purelb", "managedFields": managed},
        "spec": {"local": {"v4pool": {"subnet": SUBNET, "pool": pool}}, **spec},
    }


def config(name: str = "default", **local: Any) -> Json:
    return {"apiVersion": "purelb.io/v1", "kind": "LBNodeAgent", "metadata": {"name": name}, "spec": {"local": local}}


def node(name: str, address: str, *, pods: str = "10.244.0.0/24", **labels: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def service(name: str = "web", **annotations: str) -> Json:
    said = {f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": said},
        "spec": {"type": "LoadBalancer"},
    }


CIDR = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "ServiceCIDR",
    "metadata": {"name": "kubernetes"},
    "spec": {"cidrs": ["10.96.0.0/12"]},
}
W11 = node("w11", "10.31.188.11")


def judged(*bodies: Json, strict: bool = False, subnets: dict[str, set[str]] | None = None) -> Any:
    on = None if subnets is None else {parse_network(one): frozenset(who) for one, who in subnets.items()}
    answer = validate(gathered(bodies, on), is_strict=strict)
    assert answer.is_well == document_of(answer)["valid"]
    return answer.document


def test_a_configuration_that_fits_its_nodes_has_no_flaw() -> None:
    found = judged(group(), config(), W11, CIDR, service(service_group="wire"), strict=True)

    assert (found["valid"], found["flaws"]) == (True, [])
    assert found["objects"] == {"ServiceGroup": 1, "LBNodeAgent": 1, "Node": 1, "Service": 1}


ERRORS = {
    "a group that can't be read": ([group(pool="10.31.188.64-10.9.9.9")], "ServiceGroup wire", "upside down"),
    "a pool outside of its subnet": ([group(pool="10.32.0.1")], "ServiceGroup wire", "not contained in its subnet"),
    "a spec of another shape": ([group(local="x")], "ServiceGroup wire", "malformed"),
    "ranges of two groups that overlap": (
        [group("a"), group("b", "10.31.188.100-10.31.188.200")],
        "ServiceGroup b",
        "its range 10.31.188.100-10.31.188.200 overlaps with 10.31.188.64-10.31.188.126 of ServiceGroup a",
    ),
    "one name in two namespaces": (
        [group(), group(pool="10.31.7.0/24") | {"metadata": {"name": "wire", "namespace": "other"}}],
        "ServiceGroup wire",
        "its name alone counts",
    ),
    "a pool of pods' addresses": (
        [
            group(local={"v4pool": {"subnet": "10.244.0.0/16", "pool": "10.244.0.5-10.244.0.9"}}),
            node("w11", "10.244.9.1"),
        ],
        "ServiceGroup wire",
        "10.244.0.5-10.244.0.9, which is of 10.244.0.0/24, the network of the pods of node w11",
    ),
    "a pool of Services' addresses": (
        [group(local={"v4pool": {"subnet": "10.96.0.0/12", "pool": "10.96.7.0/30"}}), CIDR],
        "ServiceGroup wire",
        "the range of ClusterIPs",
    ),
    "a pool that belongs on a NIC and fits none": (
        [
            group(version="v2", local={"v4pool": {"subnet": "10.7.0.0/16", "pool": "10.7.0.1"}}),
            node("w11", "10.31.188.11"),
        ],
        "ServiceGroup wire",
        "no node has a NIC in the subnet of its range 10.7.0.1: no node announces it",
    ),
    "a selector that chooses no node": (
        [group(nodeSelector={"matchLabels": {"rack": "a"}}), node("w11", "10.31.188.11", rack="b")],
        "ServiceGroup wire",
        "its nodeSelector chooses none of the 1 nodes",
    ),
    "a selector that chooses none on the subnet": (
        [
            group(nodeSelector={"matchLabels": {"rack": "a"}}),
            node("w11", "10.31.188.11"),
            node("w12", "10.7.0.1", rack="a"),
        ],
        "ServiceGroup wire",
        "chooses none of the nodes on the subnet",
    ),
    "an agent's interface that is no pattern": ([config(localint="[")], "LBNodeAgent default", "regular expression"),
    "agents that announce nothing": (
        [config() | {"spec": {}}],
        "LBNodeAgents",
        "none of them has a local block",
    ),
    "a Service of a group that isn't there": (
        [group(), service(service_group="wier")],
        "Service default/web",
        "there is no ServiceGroup wier",
    ),
    "a Service of no group": ([group(), service()], "Service default/web", "there is none called default"),
}


@pytest.mark.parametrize(("bodies", "about", "told"), ERRORS.values(), ids=ERRORS.keys())
def test_each_error_is_told_of_its_object_and_nothing_else_is(bodies: list[Json], about: str, told: str) -> None:
    found = judged(*bodies)

    assert not found["valid"]
    (flaw,) = found["flaws"]
    assert (flaw["level"], flaw["about"]) == ("error", about)
    assert told in flaw["told"]
    assert flaw["remedy"]


WARNINGS = {
    "a node's address in a pool": (
        [group(pool="10.31.188.1-10.31.188.20"), W11],
        "ServiceGroup wire",
        "has 10.31.188.11, which is an address of node w11",
    ),
    "a broadcast address in a pool": (
        [group(pool="10.31.255.250-10.31.255.255"), W11],
        "ServiceGroup wire",
        "10.31.255.255, which is the broadcast address of 10.31.0.0/16",
    ),
    "a pool that is routed because it fits no NIC": (
        [group(local={"v4pool": {"subnet": "10.7.0.0/16", "pool": "10.7.0.1"}}), W11],
        "ServiceGroup wire",
        "it is only routed, over kube-lb0",
    ),
    "a namespace that two groups list": (
        [group("a", namespaces=["web"]), group("b", "10.31.9.0/24", namespaces=["web"])],
        "ServiceGroup a",
        "a Service there has to name one",
    ),
    "placement that only some agents have": (
        [config(placement="even"), config("others")],
        "LBNodeAgent default",
        "placement is even only if all say so",
    ),
    "an annotation that is misspelt": (
        [service(adresses="10.31.188.64")],
        "Service default/web",
        "did you mean purelb.io/addresses?",
    ),
}


@pytest.mark.parametrize(("bodies", "about", "told"), WARNINGS.values(), ids=WARNINGS.keys())
def test_a_warning_is_an_error_only_where_that_is_asked_for(bodies: list[Json], about: str, told: str) -> None:
    found = judged(*bodies)

    assert found["valid"]
    (flaw,) = found["flaws"]
    assert (flaw["level"], flaw["about"]) == ("warning", about)
    assert told in flaw["told"]
    assert not judged(*bodies, strict=True)["valid"]


def test_where_agents_say_on_which_subnets_nodes_are_that_counts() -> None:
    behind_a_second_nic = group(version="v2", local={"v4pool": {"subnet": "10.7.0.0/16", "pool": "10.7.0.1"}})

    assert not judged(behind_a_second_nic, W11)["valid"]
    assert judged(behind_a_second_nic, W11, subnets={"10.7.0.0/16": {"w11"}})["flaws"] == []
    assert judged(behind_a_second_nic, subnets={})["flaws"] == []


def test_files_are_laid_over_what_a_cluster_has() -> None:
    there, file = group("a"), group("a", "10.31.9.0/24")

    assert not validate(gathered([file, group("b", "10.31.9.7")], over=[there]), is_strict=False).is_well
    assert validate(gathered([file], over=[there]), is_strict=False).is_well


def test_the_senior_of_two_is_served() -> None:
    young = group("a")
    young["metadata"]["creationTimestamp"] = "2026-11-29T12:00:00Z"

    assert [flaw["about"] for flaw in judged(group("b"), young)["flaws"]] == ["ServiceGroup b"]


def test_objects_of_others_and_what_is_no_object_are_passed_over() -> None:
    other = {"apiVersion": "example.org/v1", "kind": "ServiceGroup", "spec": {"x": 1}}

    assert judged(other, {"kind": "Deployment"}, {"apiVersion": "v1", "kind": "Node", "metadata": None})["flaws"] == []


def test_manifests_are_read_as_kubectl_takes_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"---\n{json.dumps(group('a'))}\n---\n---\n{json.dumps(config())}\n")
    (tmp_path / "b.json").write_text(json.dumps({"kind": "List", "items": [group("b")]}))
    (tmp_path / "README.md").write_text("nothing: [")

    found = read_manifests([str(tmp_path), "-"], io.StringIO(json.dumps(group("c", version="v2"))))

    assert [body["metadata"]["name"] for body in found] == ["a", "default", "b", "c"]
    assert found[3]["metadata"]["managedFields"][0]["apiVersion"] == "purelb.io/v2"


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "just words", "a: 2026-13-45"])
def test_what_is_no_manifest_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_manifests(["-"], io.StringIO(text))

    assert str(refused.value).startswith("standard input ")
    assert "\n" not in str(refused.value)


def test_standard_input_that_is_no_text_is_said_in_a_sentence() -> None:
    with pytest.raises(SettingsError, match="standard input can't be read"):
        read_manifests(["-"], io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))


BOMB = "".join(f"    - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        f"kind: Service\nspec: {{type: LoadBalancer}}\nmetadata:\n  annotations:\n    a:\n    - &a0 [x]\n{BOMB}",
        "&a {kind: List, items: [*a]}",
        "&a {kind: Service, spec: {type: LoadBalancer}, metadata: {annotations: {b: *a}}}",
        "&a {kind: Service, <<: *a}",
    ],
)
def test_a_manifest_that_means_more_than_it_says_is_refused_at_once(text: str) -> None:
    with pytest.raises(SettingsError, match="aliases stand for too much"):
        read_manifests(["-"], io.StringIO(text))


def test_aliases_are_read_as_what_they_stand_for() -> None:
    (found,) = read_manifests(
        ["-"], io.StringIO("kind: Service\nmetadata: &m {name: web}\nspec: {x: *m, y: {<<: *m}}\n")
    )

    assert found["spec"] == {"x": {"name": "web"}, "y": {"name": "web"}}


def test_files_are_judged_without_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(json.dumps(group()))
    bad.write_text(json.dumps(group("other")))

    assert main(["validate", "-f", str(good)]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings in 1 ServiceGroup\n"
    assert main(["validate", "-f", str(good), "-f", str(bad)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 error, 0 warnings in 2 ServiceGroups"
    assert main(["validate", "-f", str(tmp_path / "none.yaml")]) == 2
    assert main(["validate", "-f", str(good), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True
