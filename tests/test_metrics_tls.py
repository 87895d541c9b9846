"""Metrics over TLS, as the component in manifests/metrics-tls has it: what it changes, and that its rights suffice."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubedouble.testing.servers import api_server
from manifests.build import ROOT, build
from purelb.errors import ConflictError, ForbiddenError
from purelb.kube import Kube, core_path, group_path
from purelb.reviews import FRESH, TOKENS, Reviews
from purelb.settings import AgentSettings, AllocatorSettings

PROGRAMS = ("allocator", "lbnodeagent")
RBAC = "rbac.authorization.k8s.io/v1"
ACCESS = ROOT / "manifests" / "metrics-tls" / "access.yaml"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    folder = tmp_path_factory.mktemp("overlay")
    above = os.path.relpath(ROOT / "manifests", folder.resolve())
    kustomization = {"resources": [f"{above}/base"], "components": [f"{above}/metrics-tls"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    documents = [one for one in yaml.safe_load_all(build(folder)) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_is_told_where_its_certificate_is(objects: dict[tuple[str, str], Any], program: str) -> None:
    kind = "Deployment" if program == "allocator" else "DaemonSet"
    pod = objects[kind, program]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    environ = {one["name"]: one.get("value", "x") for one in container["env"]}
    settings = (AllocatorSettings if program == "allocator" else AgentSettings).from_environment(environ, [])
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "metrics-tls"]
    assert settings.common.metrics_tls == Path(mount["mountPath"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["metrics-tls"] == settings.common.metrics_tls_port
    (volume,) = [one for one in pod["volumes"] if one["name"] == "metrics-tls"]
    assert volume["secret"]["optional"], "the pod starts without the certificate, and waits for it"


def test_the_monitor_asks_that_port_and_gives_the_labels_that_alerts_name() -> None:
    (endpoint,), (plain,) = (
        yaml.safe_load((ROOT / "manifests" / "monitoring" / name).read_text())["spec"]["podMetricsEndpoints"]
        for name in ("podmonitor-tls.yaml", "podmonitor.yaml")
    )

    assert (endpoint["port"], endpoint["scheme"]) == ("metrics-tls", "https")
    assert endpoint["relabelings"] == plain["relabelings"]


@pytest.mark.timeout(60)
def test_the_agents_rights_suffice_and_without_them_nothing_is_shown(tmp_path: Path) -> None:
    """The allocator's: tests/allocator/test_metrics_tls.py."""
    program = "lbnodeagent"

    async def scenario() -> None:
        async with api_server() as server:
            kubeconfig = server.kubeconfig()
            (tmp_path / "admin").write_text(yaml.safe_dump(kubeconfig))
            async with Kube(tmp_path / "admin") as admin:
                with contextlib.suppress(ConflictError):  # which nobody takes away from a real server
                    await admin.create(core_path("namespaces"), named("v1", "Namespace", "purelb"))
                for account in (program, "prometheus"):
                    await admin.create(core_path("serviceaccounts", "purelb"), named("v1", "ServiceAccount", account))
                kubeconfig["users"][0]["user"] = {"token": server.service_account_token("purelb", program)}
                (tmp_path / "program").write_text(yaml.safe_dump(kubeconfig))
                async with Kube(tmp_path / "program") as kube:
                    review = {"spec": {"token": "x"}, **named("authentication.k8s.io/v1", "TokenReview", "")}
                    async with asyncio.timeout(20):  # roles of a test before this one linger for a moment
                        while await is_taken(kube, review):
                            await asyncio.sleep(0.1)
                    for one in yaml.safe_load_all(ACCESS.read_text()):
                        await admin.create(group_path(RBAC, f"{one['kind'].lower()}s"), one)
                    await admin.create(group_path(RBAC, "clusterrolebindings"), reader("prometheus"))
                    now = [0.0]
                    reviews = Reviews(kube.create, lambda: now[0])
                    token = server.service_account_token("purelb", "prometheus")
                    async with asyncio.timeout(20):  # a real server takes a moment to hear of the roles
                        while await reviews.refusal(f"Bearer {token}") is not None:
                            now[0] += FRESH
                            await asyncio.sleep(0.1)

    asyncio.run(scenario())


async def is_taken(kube: Kube, review: dict[str, Any]) -> bool:
    try:
        await kube.create(TOKENS, review)
    except ForbiddenError:
        return False
    return True


def named(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name} if name else {}}


def reader(account: str) -> dict[str, Any]:
    return {
        **named(RBAC, "ClusterRoleBinding", "reads-metrics"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "purelb:metrics-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "purelb"}],
    }
