"""The end of a namespace beside a real API server: its contents are deleted, then it is let go.

Plays kube-controller-manager's namespace controller. The embedded server does this by itself. Must not know what kinds
mean: it asks the server which there are.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_terminating
from lab.controllers.reconciler import Reconciler
from purelb.errors import ConflictError, NotFoundError

log = logging.getLogger("lab.namespaces")

_AGAIN_SECONDS = 0.5


class NamespaceEnd:
    """Empties namespaces that are being deleted; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reconciler: Reconciler[str] = Reconciler("namespace end", self._finish)
        cluster.on_change("namespaces", self._look_at)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    def _look_at(self, namespace: Object) -> None:
        if is_terminating(namespace):
            self._reconciler.add(namespace["metadata"]["name"])

    async def _finish(self, name: str) -> None:
        namespace = self._cluster.caches["namespaces"].get("", name)
        if namespace is None or not is_terminating(namespace):
            return
        if await self._empty(name):
            body = {**namespace, "spec": {"finalizers": []}}
            with suppress(NotFoundError, ConflictError):
                await self._cluster.kube.replace(f"/api/v1/namespaces/{name}/finalize", body)
        else:
            self._reconciler.add_after(name, _AGAIN_SECONDS)

    async def _empty(self, name: str) -> bool:
        """Delete what is in the namespace; True when there was nothing."""
        nothing = True
        for path in await self._collections(name):
            for item in (await self._cluster.kube.list(path)).items:
                nothing = False
                if is_terminating(item):
                    continue  # a finalizer or a kubelet holds it
                with suppress(NotFoundError, ConflictError):
                    await self._cluster.kube.delete(f"{path}/{item['metadata']['name']}")
        return nothing

    async def _collections(self, name: str) -> list[str]:
        """The paths in that namespace of all kinds that can be listed and deleted."""
        kube = self._cluster.kube
        groups = (await kube.discover("/apis"))["groups"]
        prefixes = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
        found = []
        for prefix in prefixes:
            resources = (await kube.discover(prefix)).get("resources") or ()
            found += [
                f"{prefix}/namespaces/{name}/{resource['name']}"
                for resource in resources
                if resource["namespaced"] and {"list", "delete"} <= set(resource["verbs"])
            ]
        return found
