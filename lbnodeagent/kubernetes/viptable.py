"""From Services, ServiceGroups and EndpointSlices to the table of wanted VIPs. Pure; the control plane feeds it.

Every change returns the VIPs that it altered, with their new entry or None, ready to be handed to the data plane.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from lbnodeagent.kubernetes.given import Gift, claims, given
from lbnodeagent.kubernetes.plans import Plans
from lbnodeagent.tables import WantedVip
from purelb import names
from purelb.addresses import IPAddress, family_of
from purelb.endpoints import Endpoints, EndpointSlice
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceKey, ServiceView
from purelb.sharers import nodes_for, sharer

Changes: TypeAlias = dict[IPAddress, WantedVip | None]


def vips_of(service: ServiceView) -> tuple[IPAddress, ...]:
    """The VIPs that a Service of the table wants announced: what isn't PureLB's gift was left out of it."""
    return service.ingress if claims(service) else ()


class WantedTable:
    """Who wants which VIP, and how. Services that share an address share its entry."""

    def __init__(self, *, keeps_local: bool = True) -> None:
        """``keeps_local``: whether policy Local holds on a NIC too, without the user's word for each Service."""
        self._keeps_local = keeps_local
        self._services: dict[ServiceKey, ServiceView] = {}
        """With the addresses that our allocator gave, and no others."""
        self._mixed: dict[ServiceKey, ServiceView] = {}
        """Those whose addresses somebody else wrote, as they are: which of them count depends on the groups."""
        self._proven: dict[ServiceKey, tuple[IPAddress, ...]] = {}
        """Of each of those, the addresses that our allocator gave for certain."""
        self._by_vip: dict[IPAddress, set[ServiceKey]] = {}
        self._groups: dict[str, dict[str, ServiceGroup]] = {}
        """By name and namespace."""
        self._knows_groups = False
        """Before all were read, one that isn't there may be just unread."""
        self._endpoints = Endpoints()
        self._plans = Plans()
        self._table: dict[IPAddress, WantedVip] = {}

    @property
    def table(self) -> Mapping[IPAddress, WantedVip]:
        return self._table

    @property
    def groups(self) -> tuple[ServiceGroup, ...]:
        """All that can be read."""
        return tuple(group for of_that_name in self._groups.values() for group in of_that_name.values())

    @property
    def services(self) -> Mapping[ServiceKey, ServiceView]:
        """Those that have or lately had something to announce, and those that carry our annotations."""
        return self._services

    @property
    def needs_endpoints(self) -> bool:
        """Whether where endpoints are matters to any Service."""
        return any(
            service.external_traffic_policy == "Local" or names.NODE_AFFINITY in service.annotations
            for service in self._services.values()
        )

    def service(self, key: ServiceKey) -> ServiceView | None:
        return self._services.get(key)

    def group_of(self, vip: IPAddress) -> ServiceGroup | None:
        """The ServiceGroup that holds ``vip``, as far as it is known."""
        return self._group_of(vip, self.users(vip))

    def users(self, vip: IPAddress) -> list[ServiceView]:
        """The Services that have ``vip``, sorted."""
        return [self._services[key] for key in sorted(self._by_vip.get(vip, ()))]

    def set_service(self, service: ServiceView) -> Changes:
        """A Service as it is now."""
        before = self._services.get(service.key)
        old = set(vips_of(before)) if before else set()
        gift = self._given(service)
        if claims(service) and service.is_written_by_others:
            self._mixed[service.key], self._proven[service.key] = service, gift.proven
        else:
            self._unmix(service.key)
        service = replace(service, ingress=gift.counted)
        new = set(vips_of(service))
        if new:
            self._plans.set_service(service)
        else:
            self._plans.drop_service(service.key)
        if new or carries_annotations(service):
            self._services[service.key] = service
        else:
            self._services.pop(service.key, None)
        for vip in old - new:
            self._leave(vip, service.key)
        for vip in new - old:
            self._by_vip.setdefault(vip, set()).add(service.key)
        return self._recompute(old | new)

    @property
    def mixed(self) -> Collection[ServiceKey]:
        """The Services of ours whose addresses somebody else wrote."""
        return self._mixed.keys()

    def foreign(self, key: ServiceKey) -> frozenset[IPAddress]:
        """The addresses in a Service's status that our allocator didn't give it, though it is one of ours."""
        service = self._mixed.get(key)
        return frozenset(service.ingress) - set(self._vips(key)) if service is not None else frozenset()

    def _given(self, service: ServiceView) -> Gift:
        if not service.is_written_by_others:
            return given(service, {}, are_all_known=False)
        groups = {name: tuple(self._groups.get(name, {}).values()) for name in service.allocated_from}
        return given(service, groups, self._proven_before(service), are_all_known=self._knows_groups)

    def _proven_before(self, service: ServiceView) -> tuple[IPAddress, ...]:
        """What our allocator gave to this Service for certain, as it was before."""
        before = self._mixed.get(service.key) or self._services.get(service.key)
        if before is None or before.uid != service.uid:
            return ()
        return self._proven[service.key] if service.key in self._mixed else vips_of(before)

    def _unmix(self, key: ServiceKey) -> None:
        self._mixed.pop(key, None)
        self._proven.pop(key, None)

    def _groups_changed(self) -> Changes:
        changes: Changes = {}
        for service in list(self._mixed.values()):
            changes |= self.set_service(service)
        return changes | self._recompute(self._by_vip)

    def replace_slices(self, slices: Iterable[EndpointSlice]) -> Changes:
        """All EndpointSlices that there are."""
        return self._endpoints_changed(self._endpoints.take_all(slices))

    def replace_groups(self, groups: Iterable[ServiceGroup]) -> Changes:
        """All ServiceGroups that there are and can be read."""
        before, self._groups = self._groups, {}
        for group in groups:
            self._groups.setdefault(group.name, {})[group.namespace] = group
        if self._knows_groups and self._groups == before:
            return {}
        self._knows_groups = True
        return self._groups_changed()

    def drop_service(self, key: ServiceKey) -> Changes:
        """A Service is gone."""
        before = self._services.pop(key, None)
        self._plans.drop_service(key)
        self._unmix(key)
        if before is None:
            return {}
        old = set(vips_of(before))
        for vip in old:
            self._leave(vip, key)
        return self._recompute(old)

    def set_group(self, group: ServiceGroup) -> Changes:
        """A ServiceGroup as it is now; its status, which changes with each allocation, takes no part."""
        of_that_name = self._groups.setdefault(group.name, {})
        if of_that_name.get(group.namespace) == group:
            return {}
        of_that_name[group.namespace] = group
        return self._groups_changed()

    def drop_group(self, namespace: str, name: str) -> Changes:
        """A ServiceGroup is gone, or can't be read any more."""
        of_that_name = self._groups.get(name, {})
        if of_that_name.pop(namespace, None) is None:
            return {}
        if not of_that_name:
            del self._groups[name]
        return self._groups_changed()

    def set_slice(self, one: EndpointSlice) -> Changes:
        """An EndpointSlice as it is now."""
        return self._endpoints_changed(self._endpoints.take(one))

    def drop_slice(self, namespace: str, name: str) -> Changes:
        """An EndpointSlice is gone, or belongs to no Service any more."""
        return self._endpoints_changed(self._endpoints.drop(namespace, name))

    def _endpoints_changed(self, services: Iterable[ServiceKey]) -> Changes:
        return self._recompute({vip for key in services for vip in self._vips(key)})

    def _vips(self, key: ServiceKey) -> Iterable[IPAddress]:
        service = self._services.get(key)
        return vips_of(service) if service else ()

    def _leave(self, vip: IPAddress, key: ServiceKey) -> None:
        users = self._by_vip.get(vip, set())
        users.discard(key)
        if not users:
            self._by_vip.pop(vip, None)

    def _recompute(self, vips: Iterable[IPAddress]) -> Changes:
        changes: Changes = {}
        for vip in list(vips):
            entry = self._entry(vip)
            if entry != self._table.get(vip):
                changes[vip] = entry
                if entry is None:
                    del self._table[vip]
                else:
                    self._table[vip] = entry
        return changes

    def _entry(self, vip: IPAddress) -> WantedVip | None:
        users = self.users(vip)
        if not users:
            return None
        group = self._group_of(vip, users)
        pool = group.pool_of(vip) if group else None
        local = [service for service in users if service.external_traffic_policy == "Local"]
        allow_local = bool(local) and all(map(self.keeps_policy, local))
        endpoints, preferred = nodes_for(map(sharer, users), self._endpoints.of)
        return WantedVip(
            address=vip,
            services=tuple(service.key for service in users),
            aggregation=pool.prefix_length if pool else None,
            endpoints=endpoints,
            preferred=preferred if allow_local or not local else None,
            allow_local=allow_local,
            onlink_only=group is not None and group.is_onlink_only,
            skips_dad=any(service.annotations.get(names.SKIP_IPV6_DAD) == "true" for service in users),
            announcers=group.announcers if group else None,
            plan=self._plans.of(vip, [service.key for service in users]),
        )

    def keeps_policy(self, service: ServiceView) -> bool:
        """Whether a Service's policy Local holds on a NIC too; else it counts there as Cluster, and is set to it."""
        return self._keeps_local or names.ALLOW_LOCAL in service.annotations

    def _group_of(self, vip: IPAddress, users: Iterable[ServiceView]) -> ServiceGroup | None:
        """The group that holds ``vip``: the one that the Service says it's from, else any."""
        sources = sorted({name for service in users for name in service.allocated_from})
        named = (group for name in sources for _, group in sorted(self._groups.get(name, {}).items()))
        found = next((group for group in named if group.pool_of(vip) is not None), None)
        return found or self._any_group_of(vip)

    def _any_group_of(self, vip: IPAddress) -> ServiceGroup | None:
        """The first by namespace and name, so that it is the same for all agents."""
        holding = (group for of in self._groups.values() for group in of.values() if group.pool_of(vip) is not None)
        return min(holding, key=lambda group: (group.namespace, group.name), default=None)


def annotation_of(vip: IPAddress) -> str:
    """The annotation that tells who announces addresses of this family."""
    return names.ANNOUNCING_IPV4 if family_of(vip).bits == 32 else names.ANNOUNCING_IPV6


def carries_annotations(service: ServiceView) -> bool:
    """Whether a Service carries annotations of ours, which may have to be taken away."""
    return any(key in service.annotations for key in (names.ALLOCATED_BY, *names.ANNOUNCING_KEYS))
