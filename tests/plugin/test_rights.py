"""The ClusterRole of the plugin: enough for all that it asks, nothing too much, and nothing of it writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from kubectl_purelb.diagnosis.surroundings import PROXY_CONFIGS
from purelb import names
from purelb.kube import core_path, group_path
from tests.allocator.stage import Stage, staged
from tests.plugin.scene import LAYER2, install, purelb

MANIFESTS = Path(__file__).parents[2] / "manifests"
ROLE: dict[str, Any] = yaml.safe_load((MANIFESTS / "plugin" / "reader.yaml").read_text())
ASKING = (
    ["status"],
    ["pools"],
    ["services"],
    ["nodes"],
    ["version"],
    ["vip", "10.31.188.64"],
    ["inspect", "web"],
    ["election"],
    ["doctor"],
    ["events"],
    ["top"],
    ["validate"],
)
DOCTORS = {"nodes", "leases", "servicecidrs"}
"""What no other command reads."""


PROXY = {
    "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
    "data": {"config.conf": "kind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: false}\n"},
}
MOVER: dict[str, Any] = yaml.safe_load((MANIFESTS / "plugin" / "mover.yaml").read_text())


def resources() -> Iterator[tuple[str, str]]:
    """What may be listed."""
    for rule in ROLE["rules"]:
        if "resourceNames" in rule:
            continue
        for resource in rule["resources"]:
            yield rule["apiGroups"][0], resource


async def reader(stage: Stage, name: str, without: str = "", more: Sequence[Any] = ()) -> Path:
    """A kubeconfig of somebody who has the role, but for one resource, and ``more`` rules."""
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": ["list"]}
        for group, resource in resources()
        if resource != without
    ]
    role = {**ROLE, "metadata": {"name": name}, "rules": [*rules, *more]}
    binding = {
        "apiVersion": ROLE["apiVersion"],
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    await stage.kube.create(core_path("serviceaccounts", "default"), {"metadata": {"name": name}})
    await stage.kube.create(group_path(ROLE["apiVersion"], "clusterroles"), role)
    await stage.kube.create(group_path(ROLE["apiVersion"], "clusterrolebindings"), binding)
    kubeconfig = stage.server.kubeconfig()
    kubeconfig["users"][0]["user"] = {"token": stage.server.service_account_token("default", name)}
    path = stage.kubeconfig.with_name(name)
    path.write_text(json.dumps(kubeconfig))
    return path


def test_it_only_reads() -> None:
    assert {verb for rule in ROLE["rules"] for verb in rule["verbs"]} == {"list", "get"}
    assert not {"secrets", "configmaps", "pods/exec"} & {resource for _, resource in resources()}
    (named,) = [rule for rule in ROLE["rules"] if "resourceNames" in rule]
    assert (named["resources"], named["verbs"], set(named["resourceNames"])) == (
        ["configmaps"],
        ["get"],
        set(PROXY_CONFIGS),
    )


def test_who_may_move_may_write_two_kinds_of_objects_and_nothing_else() -> None:
    found = {(resource, verb) for rule in MOVER["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert found == {("services", "patch"), ("memberships", "patch")}


def test_what_is_installed_for_the_programs_has_none_of_it() -> None:
    for file in MANIFESTS.glob("purelb-complete*.yaml"):
        assert ROLE["metadata"]["name"] not in file.read_text()
        assert MOVER["metadata"]["name"] not in file.read_text()


def test_it_is_enough_for_all_that_is_asked_and_each_part_of_it_is_needed() -> None:
    async def run() -> None:
        async with staged() as stage:
            await install(stage)
            await stage.group("wire", local=LAYER2)
            await stage.service("web", annotations={names.SERVICE_GROUP: "wire"}, externalTrafficPolicy="Local")
            enough = await reader(stage, "enough")
            for asked in ASKING:
                code, _, errors = await purelb(stage, *asked, kubeconfig=enough)
                assert (code in (0, 1), errors) == (True, ""), (asked, errors)
            for asked in (["move", "web", "--anywhere"], ["rebalance", "--timeout", "0s"]):
                code, output, errors = await purelb(stage, *asked, kubeconfig=enough)
                assert (code, output) == (2, "")
                assert "cannot patch resource" in errors or "no address is planned" in errors
            mover = await reader(stage, "mover", more=MOVER["rules"])
            assert (await purelb(stage, "move", "web", "--anywhere", kubeconfig=mover))[0] == 0
            for _, resource in resources():
                short = await reader(stage, f"without-{resource}", without=resource)
                asked = ["doctor"] if resource in DOCTORS else ["inspect", "web"]
                code, output, errors = await purelb(stage, *asked, kubeconfig=short)
                assert (code, output) == (2, "")
                assert f'cannot list resource "{resource}"' in errors
            await stage.kube.create(core_path("nodes"), {"metadata": {"name": "without-agent"}})
            await stage.kube.create(core_path("configmaps", "kube-system"), PROXY)
            all_of_it = await reader(stage, "all", more=[rule for rule in ROLE["rules"] if "resourceNames" in rule])
            for who, is_found in ((enough, False), (all_of_it, True)):
                _, output, errors = await purelb(stage, "doctor", kubeconfig=who)
                assert (("ipvs without strictARP" in output), errors) == (is_found, "")
            for asked in (["version"], ["nodes"], ["events"]):
                no_services = stage.kubeconfig.with_name("without-services")
                code, _, errors = await purelb(stage, *asked, kubeconfig=no_services)
                assert (code in (0, 1), errors) == (True, ""), "it is about no Service, and reads none"

    asyncio.run(run())
