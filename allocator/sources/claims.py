"""For whom sidecars keep addresses: written down before they are asked, because they can't be asked for it.

A ConfigMap of our namespace: ``<namespace>.<name>`` of a Service to the groups whose sidecar may keep something for it.
An allocator killed between asking a sidecar and writing the Service's status finds here whom to release. Only the
leader writes it. Neither a namespace nor a Service has a dot in its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import Kube, core_path
from purelb.services import ServiceKey

NAME: Final = "purelb-sidecar-claims"


class SidecarClaims:
    """Services by group. Every call raises KubeError; what it raised for isn't in force."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._groups: dict[ServiceKey, frozenset[str]] | None = None

    async def services(self, group: str) -> list[ServiceKey]:
        """For whom the sidecar of ``group`` may keep something."""
        return [service for service, groups in (await self._read()).items() if group in groups]

    async def add(self, services: Iterable[ServiceKey], group: str) -> None:
        """Write down that the sidecar of ``group`` will be asked for these."""
        known = await self._read()
        await self._write({service: known.get(service, frozenset()) | {group} for service in services})

    async def remove(self, service: ServiceKey, group: str) -> None:
        """The sidecar of ``group`` keeps nothing more for a Service."""
        known = await self._read()
        await self._write({service: known.get(service, frozenset()) - {group}})

    async def _read(self) -> dict[ServiceKey, frozenset[str]]:
        if self._groups is None:
            try:
                body = await self._kube.get(core_path("configmaps", self._namespace, NAME))
            except NotFoundError:
                body = {}
            if self._groups is None:  # else another was quicker, and may have written since
                self._groups = {
                    ServiceKey(*key.split(".", 1)): frozenset(filter(None, text.split(",")))
                    for key, text in (body.get("data") or {}).items()
                    if "." in key
                }
        return self._groups

    async def _write(self, changes: Mapping[ServiceKey, frozenset[str]]) -> None:
        known = await self._read()
        fresh = {service: groups for service, groups in changes.items() if known.get(service, frozenset()) != groups}
        if not fresh:
            return
        data = {_key(service): ",".join(sorted(groups)) or None for service, groups in fresh.items()}
        try:
            await self._kube.patch(core_path("configmaps", self._namespace, NAME), {"data": data})
        except NotFoundError:
            await self._create({**known, **fresh})
        for service, groups in fresh.items():
            if groups:
                known[service] = groups
            else:
                known.pop(service, None)

    async def _create(self, groups: Mapping[ServiceKey, frozenset[str]]) -> None:
        """There is none yet, or somebody deleted it."""
        data = {_key(service): ",".join(sorted(held)) for service, held in groups.items() if held}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": self._namespace,
                "labels": names.labels_of_made(names.ALLOCATOR_COMPONENT),
            },
            "data": data,
        }
        await self._kube.create(core_path("configmaps", self._namespace), body)


def _key(service: ServiceKey) -> str:
    return f"{service.namespace}.{service.name}"
