"""The API server's authority and the key of its tokens are rotated, and everybody gets the new ones, as in a cluster.

Owns the order: the server first, then the administrator's kubeconfigs, and only `DELAY` later what pods and namespaces
have. Until then PureLB's programs trust an authority, and have tokens, that are good no more.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path
from typing import Final

import yaml

from lab.api.authority import Authority
from lab.api.cluster import Cluster
from lab.api.objects import path
from lab.command import apifaults
from lab.command.controlplane import WIRE_KUBECONFIG, ControlPlane
from lab.kubelet.kubelets import Kubelet
from purelb.errors import KubeError

log = logging.getLogger("lab.faults")

DELAY: Final = 5.0
"""Seconds; a real kubelet may take a minute and more."""


class Rotation:
    """Of one lab's API server, embedded or real."""

    def __init__(
        self, plane: ControlPlane, cluster: Cluster, kubelet: Kubelet, authority: Authority, folder: Path
    ) -> None:
        self._plane = plane
        self._cluster = cluster
        self._kubelet = kubelet
        self._authority = authority
        self._folder = folder
        self._handing_out: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Rotate, and see to the rest in the background. Raises LabError, NotStarted."""
        if self._plane.real is not None:
            await self._plane.real.rotate()
            pem = self._plane.real.authority
        else:
            answer = await asyncio.to_thread(apifaults.ask, self._folder, "POST", "/rotate")
            pem = str(answer["ca"])
        self._authority.pem = pem
        for name in ("kubeconfig", WIRE_KUBECONFIG):
            await asyncio.to_thread(_trust, self._folder / name, pem)
        task = asyncio.create_task(self._hand_out())
        self._handing_out.add(task)
        task.add_done_callback(self._handing_out.discard)

    async def _hand_out(self) -> None:
        await asyncio.sleep(DELAY)
        try:
            await self._kubelet.renew_accounts()
            for namespace in self._cluster.caches["namespaces"]:
                where = path("configmaps", namespace["metadata"]["name"], "kube-root-ca.crt")
                await self._cluster.kube.patch(where, {"data": {"ca.crt": self._authority.pem}})
        except (OSError, KubeError) as failure:
            log.warning("the new authority isn't everywhere: %s", failure)


def _trust(kubeconfig: Path, pem: str) -> None:
    """Have a kubeconfig trust that authority; nobody reads half of it."""
    config = yaml.safe_load(kubeconfig.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["certificate-authority-data"] = base64.b64encode(pem.encode()).decode()
    part = kubeconfig.with_name(f"{kubeconfig.name}.part")
    part.touch(mode=0o600)
    part.write_text(yaml.safe_dump(config))
    part.replace(kubeconfig)
