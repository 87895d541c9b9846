"""Run a kopf registry as one task of ours: settings, login, readiness, stop. Handlers live in the programs."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf

from purelb import names
from purelb.kube import Kube, custom_path
from purelb.persistence import Backoff, persist


async def wait_for_kinds(kube: Kube) -> None:
    """Return when the API server serves our custom resources.

    kopf looks for kinds once (scanning needs rights on CRDs that we don't ask for), and one ``kubectl apply`` may
    start us before the CRDs beside us are established.
    """

    async def look() -> None:
        for plural in (names.SERVICE_GROUPS, names.LB_NODE_AGENTS):
            await kube.get(custom_path(plural), limit="1")

    await persist("the custom resources", look, Backoff(first=0.2, most=2.0))


async def run_operator(
    registry: kopf.OperatorRegistry,
    memo: object,
    kube: Kube,
    *,
    ready: asyncio.Event | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve ``registry`` until ``stop`` is set (in a main thread also until SIGTERM or SIGINT: kopf listens itself).

    Register handlers of kind ``on.event`` and indices only, so that kopf writes nothing to the objects.
    """

    async def login(**_: Any) -> kopf.ConnectionInfo:
        credentials = await kube.credentials()
        return kopf.ConnectionInfo(
            server=credentials.server,
            token=credentials.token,
            ca_path=credentials.ca_path,
            certificate_path=credentials.certificate_path,
            private_key_path=credentials.private_key_path,
            insecure=credentials.insecure,
        )

    kopf.on.login(registry=registry, id="login")(login)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.connect_timeout = 5.0
    settings.watching.server_timeout = 300  # an integer on the wire
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2, 3, 5)
    settings.process.ultimate_exiting_timeout = None
    await wait_for_kinds(kube)
    await kopf.operator(
        registry=registry,
        settings=settings,
        memo=memo,
        clusterwide=True,
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )
