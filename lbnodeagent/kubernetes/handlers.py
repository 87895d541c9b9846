"""kopf handlers: translate and return. What follows from an event is the control plane's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from purelb import names
from purelb.light_kopf import kopf


class ServiceObserver(Protocol):
    """Who is told of objects. ``body`` is the object; ``is_gone`` that it was deleted; ``is_listed`` that it comes from
    the list with which a watch begins, not from a change."""

    def observe_service(self, body: Mapping[str, Any], *, is_gone: bool, is_listed: bool) -> None: ...
    def observe_group(self, body: Mapping[str, Any], *, is_gone: bool) -> None: ...
    def observe_slice(self, body: Mapping[str, Any], *, is_gone: bool) -> None: ...


class AgentObserver(Protocol):
    """Who is told of LBNodeAgents."""

    def observe_agent(self, body: Mapping[str, Any], *, is_gone: bool) -> None: ...


def build_registry(observer: ServiceObserver, agents: AgentObserver) -> kopf.OperatorRegistry:
    """A registry whose handlers tell the observers; of kind ``on.event`` only, so that kopf writes nothing."""
    registry = kopf.OperatorRegistry()

    async def service(event: kopf.RawEvent, **_: Any) -> None:
        observer.observe_service(event["object"], is_gone=_is_gone(event), is_listed=event["type"] is None)

    async def group(event: kopf.RawEvent, **_: Any) -> None:
        observer.observe_group(event["object"], is_gone=_is_gone(event))

    async def agent(event: kopf.RawEvent, **_: Any) -> None:
        agents.observe_agent(event["object"], is_gone=_is_gone(event))

    async def endpoint_slice(event: kopf.RawEvent, **_: Any) -> None:
        observer.observe_slice(event["object"], is_gone=_is_gone(event))

    kopf.on.event("", "v1", "services", registry=registry, id="service")(service)
    kopf.on.event(names.GROUP, names.READ_VERSION, names.SERVICE_GROUPS, registry=registry, id="group")(group)
    kopf.on.event(names.GROUP, names.READ_VERSION, names.LB_NODE_AGENTS, registry=registry, id="agent")(agent)
    kopf.on.event("discovery.k8s.io", "v1", "endpointslices", registry=registry, id="slice")(endpoint_slice)
    return registry


def _is_gone(event: kopf.RawEvent) -> bool:
    return event["type"] == "DELETED"
