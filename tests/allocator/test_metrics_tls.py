"""The real allocator shows its metrics over TLS, with the rights of its manifest and of the component's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import yaml

from kubedouble.tls import make_tls
from purelb.kube import core_path, group_path
from purelb.securepage import CERTIFICATE, KEY
from tests.allocator.stage import Stage, staged, until
from tests.allocator.test_rights import install_rights

ACCESS = Path(__file__).parents[2] / "manifests" / "metrics-tls" / "access.yaml"
RBAC = "rbac.authorization.k8s.io/v1"


async def let_in(stage: Stage, account: str) -> None:
    """What an operator applies for Prometheus."""
    for body in yaml.safe_load_all(ACCESS.read_text()):
        await stage.kube.create(group_path(RBAC, f"{body['kind'].lower()}s"), body)
    binding = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "prometheus-reads-purelb"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "purelb:metrics-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "purelb"}],
    }
    await stage.kube.create(group_path(RBAC, "clusterrolebindings"), binding)


@pytest.mark.timeout(90)
def test_who_may_read_them_does_and_nobody_else(tmp_path: Path) -> None:
    tls = make_tls([])
    (tmp_path / CERTIFICATE).write_bytes(tls.certificate)
    (tmp_path / KEY).write_bytes(tls.key)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = f"https://127.0.0.1:{port}/metrics"
    trusted = ssl.create_default_context(cadata=tls.ca.decode())

    async def run() -> None:
        async with staged() as stage, aiohttp.ClientSession() as session:
            await install_rights(stage)
            for account in ("prometheus", "somebody"):
                body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
                await stage.kube.create(core_path("serviceaccounts", "purelb"), body)
            await let_in(stage, "prometheus")

            async def answer(account: str, *, wanted: int) -> str:
                token = stage.server.service_account_token("purelb", account)
                shows = {"Authorization": f"Bearer {token}"}

                async def look() -> str | None:
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        async with session.get(where, headers=shows, ssl=trusted) as shown:
                            return await shown.text() if shown.status == wanted else None
                    return None

                return await until(look)

            async with stage.allocator(PURELB_METRICS_TLS=str(tmp_path), PURELB_METRICS_TLS_PORT=port):
                assert "purelb_allocator_waiting_services 0.0" in await answer("prometheus", wanted=200)
                assert "may not get /metrics" in await answer("somebody", wanted=403)

    asyncio.run(run())
