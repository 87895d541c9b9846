"""What the parts of the server share: the store, the registry, and the kinds in one lookup.

Owns the wiring of kinds to tables and the views of objects in other versions. Must not touch: HTTP, requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .allocation import SERVICE_V4, SERVICE_V6, Network, ServicePool
from .crds import TABLE as DEFINITIONS
from .crds import CustomKinds, DefinitionKind
from .datakinds import DATA_KINDS
from .decode import Decoder
from .errors import JsonObject
from .eventviews import to_core, to_new
from .fieldsets import Typed
from .kinds import SMALL_KINDS, Kind
from .resources import Registry, Resource
from .schemas import built_in_schemas
from .services import ServiceKind
from .store import Event, Record, Store
from .workloads import WORKLOAD_KINDS

SERVICES = "/services"
_GENERIC = Kind()


class Cluster:
    """State and rules, without any way in: `operations.py` is the way in."""

    def __init__(self, store: Store, networks: Iterable[Network] = (SERVICE_V4, SERVICE_V6)) -> None:
        self.store = store
        self.registry = Registry()
        self.pool = ServicePool(networks)
        self.customs = CustomKinds(self.registry)
        self.schemas = built_in_schemas()
        self.decoder = Decoder(self.schemas)
        self.services = ServiceKind(self.pool)
        self._kinds: dict[str, Kind] = {
            **SMALL_KINDS,
            **DATA_KINDS,
            **WORKLOAD_KINDS,
            SERVICES: self.services,
            DEFINITIONS: DefinitionKind(),
        }
        self._typed: dict[Resource, Typed] = {}
        store.on_commit.append(self._follow)

    def _follow(self, table: str, event: Event) -> None:
        if table not in (SERVICES, DEFINITIONS):
            return
        before = event.before.obj if event.before is not None else None
        after = None if event.type == "DELETED" else event.after.obj
        (self.pool if table == SERVICES else self.customs).follow(before, after)

    def typed(self, resource: Resource) -> Typed:
        """The schema by which fields of this resource merge and are owned."""
        if resource.group == "events.k8s.io":
            resource = self.registry.by_key("/events") or resource  # stored in the core spelling
        typed = self._typed.get(resource)
        if typed is None or resource.custom:
            if resource.custom:
                schema = self.customs.kind(resource).schema
                any_kind = self.schemas.root("", "Service")
                assert any_kind is not None
                # The metadata of custom resources is what it is everywhere.
                properties = {**schema.get("properties", {}), "metadata": any_kind["properties"]["metadata"]}
                typed = Typed({**schema, "properties": properties}, self.schemas.resolve)
            else:
                typed = Typed(self.schemas.root(resource.group, resource.kind) or {}, self.schemas.resolve)
            self._typed[resource] = typed
        return typed

    def kind(self, resource: Resource) -> Kind:
        if resource.custom:
            return self.customs.kind(resource)
        return self._kinds.get(resource.key, _GENERIC)

    def decode(self, resource: Resource, body: JsonObject) -> tuple[JsonObject, list[str]]:
        """A clean copy in the stored form, and sentences about unknown fields. Raises `StatusError` 400."""
        if resource.custom:
            clean, unknown = self.customs.kind(resource).decode(body)
        else:
            clean, unknown = self.decoder.decode(resource.group, resource.version, resource.kind, body)
        return clean, unknown

    def stored_version(self, resource: Resource) -> str:
        if resource.custom:
            return self.customs.stored_version(resource.key)
        return "v1" if resource.key == "/events" else resource.group_version

    def to_stored(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """Kind and API version first, as they go over the wire; events in the core spelling."""
        if resource.group == "events.k8s.io":
            obj = to_core(obj)
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
        return {"kind": resource.kind, "apiVersion": self.stored_version(resource), **obj}

    def converter(self, resource: Resource, record: Record) -> Callable[[JsonObject], JsonObject] | None:
        """How the stored form becomes this resource's version; None when it already is."""
        version = resource.group_version
        if record.obj.get("apiVersion") == version:
            return None
        if resource.group == "events.k8s.io":
            return to_new
        return lambda obj: {**obj, "apiVersion": version}

    def view(self, resource: Resource, record: Record) -> JsonObject:
        convert = self.converter(resource, record)
        return record.obj if convert is None else convert(record.obj)

    def encoded(self, resource: Resource, record: Record) -> bytes:
        return record.encoded(resource.group_version, self.converter(resource, record))
