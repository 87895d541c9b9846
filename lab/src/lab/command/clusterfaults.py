"""Who else works on the cluster's objects: `purelb-lab fault cluster KIND [SUBJECT]`.

Owns the table of these faults and which last; what each of them writes is `neighbours`'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from lab.api.cluster import Cluster
from lab.api.objects import Object
from lab.errors import FaultRefused
from lab.neighbours import tenant
from lab.neighbours.meddler import Meddler, Write, replace_without_marks, write_node_addresses
from lab.settings import CLUSTER_FAULTS
from purelb.ordering import ObjectKey

log = logging.getLogger("lab.faults")

MEDDLERS: Final[Mapping[str, tuple[Write, str]]] = {
    "servicelb": (write_node_addresses, "writes the nodes' addresses into the status of"),
    "operator": (replace_without_marks, "replaces, without PureLB's annotations,"),
}


class ClusterFaults:
    """All that neighbours do to the objects of one lab."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._meddlers: dict[tuple[str, str], tuple[Meddler, asyncio.Task[None]]] = {}
        """By kind and subject."""
        self._tenants: list[str] = []
        cluster.on_change("services", self._tell)

    async def begin(self, kind: str, subject: str | None) -> str:
        """Begin one; a sentence about it. Raises LabError and KubeError."""
        if kind == "tenant":
            return f"cluster: {await self._settle(subject)}"
        if kind not in MEDDLERS:
            raise FaultRefused(f"no fault {kind!r} of the cluster; there are: {', '.join(CLUSTER_FAULTS)}")
        write, deed = MEDDLERS[kind]
        known = self._meddlers.get((kind, subject or ""))
        meddler = known[0] if known else Meddler(self._cluster, write, _key(kind, subject))
        count = await meddler.begin()
        if known is None:
            self._meddlers[kind, subject or ""] = meddler, asyncio.create_task(_keep_meddling(kind, meddler))
        whose = subject or f"every LoadBalancer Service, {count} at the moment"
        return f"cluster: another controller {deed} {whose}, after each change, until `heal`"

    async def end(self, kind: str | None = None) -> str:
        """Send them away, or one kind of them; a sentence about it. Raises KubeError."""
        healed = [one for one in self.active() if kind in (None, one.split(" ")[0])]
        for name, subject in list(self._meddlers):
            if kind in (None, name):
                _, task = self._meddlers.pop((name, subject))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if kind in (None, "tenant"):
            for namespace in list(self._tenants):
                await tenant.evict(self._cluster, namespace)
                self._file(namespace).unlink(missing_ok=True)
                self._tenants.remove(namespace)
        return f"cluster: {', '.join(healed) + ' healed' if healed else 'nothing to heal'}"

    def active(self) -> list[str]:
        """What lasts, with its subjects."""
        meddlers = [f"{kind} {subject}".strip() for kind, subject in self._meddlers]
        return [*meddlers, *(f"tenant {namespace}" for namespace in self._tenants)]

    def _tell(self, service: Object) -> None:
        for meddler, _ in self._meddlers.values():
            meddler.tell(service)

    async def _settle(self, namespace: str | None) -> str:
        if namespace is None:
            raise FaultRefused("tenant needs a namespace: purelb-lab fault cluster tenant NAMESPACE")
        token = await tenant.settle(self._cluster, namespace)
        if namespace not in self._tenants:
            self._tenants.append(namespace)
        await asyncio.to_thread(self._write_kubeconfig, namespace, token)
        return f"who has this may edit the namespace {namespace}, until `heal`: KUBECONFIG={self._file(namespace)}"

    def _write_kubeconfig(self, namespace: str, token: str) -> None:
        admin = yaml.safe_load((self._folder / "kubeconfig").read_text())
        file = self._file(namespace)
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(tenant.kubeconfig(admin, namespace, token)))

    def _file(self, namespace: str) -> Path:
        return self._folder / f"tenant-{namespace}.kubeconfig"


def _key(kind: str, subject: str | None) -> ObjectKey | None:
    if subject is None:
        return None
    namespace, slash, name = subject.partition("/")
    if not slash or not namespace or not name:
        raise FaultRefused(f"{kind} takes a Service: purelb-lab fault cluster {kind} NAMESPACE/NAME")
    return ObjectKey(namespace, name)


async def _keep_meddling(kind: str, meddler: Meddler) -> None:
    try:
        await meddler.run()
    except Exception:  # nobody waits for this task: its end must be seen
        log.exception("%s ended", kind)
