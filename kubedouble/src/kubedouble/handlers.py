"""One request: who, what, may he, do it.

Owns the path from an HTTP request to the right operation and back. Must not touch: sockets, faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .apply import apply_patch
from .auth import ACCOUNT_PREFIX, Authenticator, User
from .cluster import Cluster
from .crds import TABLE as DEFINITIONS
from .crds import CustomKind
from .deletion import DeleteOptions
from .documents import Documents
from .errors import (
    JsonObject,
    StatusError,
    bad_request,
    method_not_allowed,
    no_such_path,
)
from .logs import LogProvider, no_logs, read_options
from .negotiation import (
    APPLY_PATCH,
    Wanted,
    accept,
    read_object,
    read_yaml,
    respond,
)
from .operations import Caller, Operations
from .patching import read_change
from .paths import Target, is_true
from .protobuf import MEDIA_TYPE as PROTOBUF
from .protobuf import ProtobufReader, WireError
from .rbac import Attributes, Authorizer
from .reading import Reader
from .resources import Resource
from .selectors import named_alone
from .store import Event, Record, encode
from .streams import send_log, send_watch
from .subresources import Subresources, delete_options
from .watching import Watch


class Handlers:
    """Answers requests. `watches` are the running ones, for whoever wants to cut them."""

    def __init__(self, cluster: Cluster, authenticator: Authenticator, log_provider: LogProvider | None) -> None:
        self._cluster = cluster
        self._authenticator = authenticator
        self.authorizer = Authorizer(cluster.store)
        self._documents = Documents(cluster)
        self._reader = Reader(cluster)
        self._logs = log_provider or no_logs
        self.operations = Operations(cluster)
        self._subresources = Subresources(cluster, self.operations, authenticator, self.authorizer)
        self._protobuf = ProtobufReader(cluster.schemas)
        self.watches: dict[Watch, Resource] = {}
        cluster.store.on_commit.append(self._follow)

    def _follow(self, table: str, _: Event) -> None:
        """Watches of a custom resource end when it is no longer served."""
        if table != DEFINITIONS:
            return
        for watch, resource in self.watches.items():
            served = self._cluster.registry.find(resource.group, resource.version, resource.plural)
            if resource.custom and served is None:
                watch.end()

    async def handle(self, request: web.BaseRequest, target: Target | None) -> web.StreamResponse:
        """Raises `StatusError` for a refusal."""
        user = self._user(request)
        if target is None:
            self.authorizer.require(user, Attributes(request.method.lower(), path=request.path))
            return await self._documents.answer(request)
        name = target.name
        if target.verb in ("list", "watch", "deletecollection"):
            name = name or named_alone(request.query.get("fieldSelector", ""))
        attributes = Attributes(target.verb, target.group, target.resource, target.subresource, target.namespace, name)
        self.authorizer.require(user, attributes)
        resource = self._cluster.registry.find(target.group, target.version, target.resource)
        if resource is None:
            raise no_such_path()
        if resource.namespaced and not target.namespace and target.verb not in ("list", "watch"):
            raise no_such_path()
        if resource.key == "/namespaces" and target.namespace:
            target = Target(target.verb, "", "v1", "namespaces", "", target.name, target.subresource, target.rest)
        return await self._resource(request, user, resource, target)

    def _user(self, request: web.BaseRequest) -> User:
        user = self._authenticator.authenticate(request.headers.get("Authorization"), secure=request.secure)
        names = {key.lower() for key in request.headers}
        if not any(name.startswith("impersonate-") for name in names):
            return user
        headers = {name: request.headers.getall(name, []) for name in ("impersonate-user", "impersonate-group")}
        other = self._authenticator.impersonated(headers)
        if other is None:
            return user
        if other.name.startswith(ACCOUNT_PREFIX):
            namespace, _, name = other.name.removeprefix(ACCOUNT_PREFIX).partition(":")
            wanted = Attributes("impersonate", "", "serviceaccounts", "", namespace, name)
        else:
            wanted = Attributes("impersonate", "", "users", "", "", other.name)
        self.authorizer.require(user, wanted)
        for group in headers["impersonate-group"]:
            self.authorizer.require(user, Attributes("impersonate", "", "groups", "", "", group))
        return other

    async def _read(self, request: web.BaseRequest) -> Any:
        """The body as JSON values; nothing is an empty object. Raises `StatusError` 400 or 415."""
        raw = await request.read()
        if not raw:
            return {}
        media = request.headers.get("Content-Type", "")
        if not media.startswith(PROTOBUF):
            return read_object(raw, media)
        try:
            return self._protobuf.read(raw)
        except WireError as wrong:
            raise bad_request(f"the object provided is unrecognized: {wrong}") from None

    # Resources

    async def _resource(
        self, request: web.BaseRequest, user: User, resource: Resource, target: Target
    ) -> web.StreamResponse:
        query = request.query
        if target.subresource and target.subresource != "status":
            return await self._subresource(request, user, resource, target)
        if target.subresource == "status" and resource.subresource("status") is None:
            raise no_such_path()
        if target.verb not in resource.verbs or (target.verb == "create" and target.name):
            raise method_not_allowed(target.resource, target.group, request.method)
        if resource.verbs == ("create",):
            return await self._question(request, user, resource, target)
        wanted = accept(request.headers.get("Accept"))
        caller = _caller(request, user)
        self._warn(resource, caller)
        status = 200
        match target.verb:
            case "get":
                self._check_get_version(query)
                record = self.operations.find(resource, target.namespace, target.name)
            case "list":
                body = self._reader.collection(resource, target, query, wanted)
                return await respond(request, body, warnings=caller.warnings)
            case "watch":
                return await self._watch(request, resource, target, wanted)
            case "create":
                sent = await self._read(request)
                record, status = self.operations.create(resource, target.namespace, sent, caller), 201
            case "update":
                sent = await self._read(request)
                existed = self._cluster.store.get(resource.key, target.namespace, target.name) is not None
                record = self.operations.update(
                    resource, target.namespace, target.name, sent, caller, target.subresource
                )
                status = 200 if existed else 201
            case "patch":
                record, created = await self._patch(request, resource, target, caller)
                status = 201 if created else 200
            case "delete":
                return await self._delete(request, resource, target, wanted, caller)
            case "deletecollection":
                return await self._delete_collection(request, resource, target, wanted, caller)
            case _:
                raise method_not_allowed(target.resource, target.group, request.method)
        return await self._answer(request, resource, record, wanted, caller, status)

    async def _answer(
        self,
        request: web.BaseRequest,
        resource: Resource,
        record: Record,
        wanted: Wanted,
        caller: Caller,
        status: int = 200,
    ) -> web.Response:
        body = self._reader.encode_one(resource, record, wanted, request.query)
        return await respond(request, body, status=status, warnings=caller.warnings)

    def _warn(self, resource: Resource, caller: Caller) -> None:
        kind = self._cluster.kind(resource)
        if isinstance(kind, CustomKind) and kind.warning is not None:
            default = f"{resource.group_version} {resource.kind} is deprecated"
            caller.warnings.append(kind.warning or default)

    def _check_get_version(self, query: Mapping[str, str]) -> None:
        if version := query.get("resourceVersion", ""):
            if not version.isdigit():
                raise bad_request(f'resourceVersion: Invalid value: "{version}"')
            self._reader.refuse_future(int(version))

    async def _watch(
        self, request: web.BaseRequest, resource: Resource, target: Target, wanted: Wanted
    ) -> web.StreamResponse:
        watch, begin, version = self._reader.watch(resource, target, request.query, wanted)
        self.watches[watch] = resource
        try:
            return await send_watch(request, watch, version, initial_events=begin)
        finally:
            watch.close()
            self.watches.pop(watch, None)

    async def _question(self, request: web.BaseRequest, user: User, resource: Resource, target: Target) -> web.Response:
        body = await self._read(request)
        if resource.plural == "bindings":
            pods = self._cluster.registry.find("", "v1", "pods")
            assert pods is not None
            name = (body.get("metadata") or {}).get("name", "")
            answer = self._subresources.bind(pods, target.namespace, name, body, _caller(request, user))
        else:
            answer = self._subresources.review(resource, target.namespace, body, user)
        return await respond(request, encode(answer), status=201)

    # Writes

    async def _patch(
        self, request: web.BaseRequest, resource: Resource, target: Target, caller: Caller
    ) -> tuple[Record, bool]:
        body = await request.read()
        media = request.headers.get("Content-Type", "").partition(";")[0].strip()
        if media == APPLY_PATCH:
            return self._apply(resource, target, read_yaml(body), request.query, caller)
        change = read_change(self._cluster, resource, media, body)
        record = self.operations.patch(resource, target.namespace, target.name, change, caller, target.subresource)
        return record, False

    def _apply(
        self, resource: Resource, target: Target, sent: Any, query: Mapping[str, str], caller: Caller
    ) -> tuple[Record, bool]:
        if not query.get("fieldManager"):
            raise StatusError(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
            )
        if not target.subresource and self._cluster.store.get(resource.key, target.namespace, target.name) is None:
            made = Attributes("create", target.group, target.resource, "", target.namespace, target.name)
            self.authorizer.require(caller.user, made)
        return apply_patch(
            self._cluster,
            self.operations,
            resource,
            target.namespace,
            target.name,
            sent,
            caller,
            subresource=target.subresource,
            force=is_true(query.get("force")),
        )

    async def _delete_body(self, request: web.BaseRequest) -> DeleteOptions:
        sent = await self._read(request)
        body: JsonObject = dict(sent) if isinstance(sent, dict) else {}
        for name in ("gracePeriodSeconds", "propagationPolicy"):
            if name in request.query:
                body.setdefault(name, request.query[name])
        return delete_options(body)

    async def _delete(
        self, request: web.BaseRequest, resource: Resource, target: Target, wanted: Wanted, caller: Caller
    ) -> web.Response:
        options = await self._delete_body(request)
        record, gone = self.operations.delete(resource, target.namespace, target.name, options, caller)
        if not gone or resource.key in ("/pods", "/services", "/namespaces"):
            return await self._answer(request, resource, record, wanted, caller)
        details: JsonObject = {"name": target.name, "kind": resource.plural, "uid": record.obj["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
        return await respond(request, encode(status), warnings=caller.warnings)

    async def _delete_collection(
        self, request: web.BaseRequest, resource: Resource, target: Target, wanted: Wanted, caller: Caller
    ) -> web.Response:
        options = await self._delete_body(request)
        selection = self._reader.selection(resource, target, request.query)
        chosen = [
            record
            for record in self._cluster.store.records(resource.key, selection.namespace)
            if selection.takes(record)
        ]
        for record in chosen:
            self.operations.delete(resource, *record.key, options, caller)
        body = encode(
            {
                "kind": resource.list_kind,
                "apiVersion": resource.group_version,
                "metadata": {"resourceVersion": str(self._cluster.store.rv)},
                "items": [self._cluster.view(resource, record) for record in chosen],
            }
        )
        return await respond(request, body, warnings=caller.warnings)

    # Subresources

    async def _subresource(
        self, request: web.BaseRequest, user: User, resource: Resource, target: Target
    ) -> web.StreamResponse:
        sub = resource.subresource(target.subresource)
        if sub is None:
            raise no_such_path()
        if target.verb not in sub.verbs:
            raise method_not_allowed(f"{target.resource}/{target.subresource}", target.group, request.method)
        caller = _caller(request, user)
        namespace, name = target.namespace, target.name
        if target.subresource == "log":
            record = self.operations.find(resource, namespace, name)
            return await send_log(request, self._logs(record.obj, read_options(record.obj, request.query)))
        record = self.operations.find(resource, namespace, name)
        if target.subresource == "ephemeralcontainers" and target.verb == "get":
            return await self._answer(request, resource, record, accept(request.headers.get("Accept")), caller)
        if target.subresource == "scale":
            scale = self._subresources.scale(resource, record)
            if target.verb == "patch":
                media = request.headers.get("Content-Type", "").partition(";")[0]
                scale = read_change(self._cluster, resource, media, await request.read())(scale)
            elif target.verb == "update":
                scale = await self._read(request)
            if target.verb != "get":
                scale = self._subresources.set_scale(resource, record, scale, caller)
            return await respond(request, encode(scale))
        if target.subresource == "ephemeralcontainers":
            if target.verb == "patch":
                media = request.headers.get("Content-Type", "").partition(";")[0]
                change = read_change(self._cluster, resource, media, await request.read())
                record = self.operations.patch(resource, namespace, name, change, caller, target.subresource)
            else:
                sent = await self._read(request)
                record = self.operations.update(resource, namespace, name, sent, caller, target.subresource)
            return await self._answer(request, resource, record, accept(request.headers.get("Accept")), caller)
        body = await self._read(request)
        if not isinstance(body, dict):
            raise bad_request("the body is not an object")
        match target.subresource:
            case "binding":
                answer = self._subresources.bind(resource, namespace, name, body, caller)
            case "eviction":
                answer = self._subresources.evict(resource, namespace, name, body, caller)
            case "token":
                answer = self._subresources.token(resource, namespace, name, body)
            case "finalize":
                return await self._finalize(request, resource, record, body, caller)
            case _:
                raise no_such_path()
        return await respond(request, encode(answer), status=201)

    async def _finalize(
        self, request: web.BaseRequest, resource: Resource, record: Record, body: JsonObject, caller: Caller
    ) -> web.Response:
        """`namespaces/finalize`: the only way to `spec.finalizers`."""
        new = {**record.obj, "metadata": dict(record.obj["metadata"])}
        new["spec"] = {"finalizers": list((body.get("spec") or {}).get("finalizers") or [])}
        done = new["metadata"].get("deletionTimestamp") and not new["spec"]["finalizers"]
        if done and not new["metadata"].get("finalizers"):
            final = self._cluster.store.delete(resource.key, *record.key)
        else:
            final = self._cluster.store.put(resource.key, *record.key, new)
        return await self._answer(request, resource, final, Wanted(), caller)


def _caller(request: web.BaseRequest, user: User) -> Caller:
    """Raises `StatusError` 400 for options that are none."""
    query = request.query
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = query.get("fieldValidation", "Warn") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(f'fieldValidation: Unsupported value: "{validation}"')
    agent = request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
    return Caller(user, query.get("fieldManager") or agent, bool(dry_run), validation)
