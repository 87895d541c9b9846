"""One request: who, what, may he, do it.

Owns the path from an HTTP request to the right operation and back. Must not touch: sockets, faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from .apply import apply_patch
from .auth import ACCOUNT_PREFIX, Authenticator, User
from .callers import Caller, caller_of
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
from .exchange import Exchange
from .kubelets import Kubelets
from .logs import LogProvider, no_logs
from .negotiation import (
    APPLY_PATCH,
    Wanted,
    accept,
    read_yaml,
    respond,
)
from .operations import Operations
from .patching import read_change
from .paths import Target, is_true
from .rbac import Attributes, Authorizer
from .reading import Reader
from .resources import Resource
from .selectors import named_alone
from .store import Event, Record, encode
from .streams import send_watch
from .subhandlers import SubresourceHandlers
from .subresources import Subresources, delete_options
from .watching import Watch


class Handlers:
    """Answers requests. `watches` are the running ones, for whoever wants to cut them."""

    def __init__(
        self,
        cluster: Cluster,
        authenticator: Authenticator,
        log_provider: LogProvider | None,
        kubelet_tls: Path | None,
    ) -> None:
        self._cluster = cluster
        self._authenticator = authenticator
        self.authorizer = Authorizer(cluster.store)
        self._documents = Documents(cluster)
        self._reader = Reader(cluster)
        self.operations = Operations(cluster)
        self._subresources = Subresources(cluster, self.operations, authenticator, self.authorizer)
        self._exchange = Exchange(cluster, self._reader)
        self._parts = SubresourceHandlers(
            cluster,
            self.operations,
            self._subresources,
            self._exchange,
            log_provider or no_logs,
            Kubelets(cluster.store, kubelet_tls),
        )
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
        if target.subresource == "exec":  # whose method says nothing of what a command does
            self.authorizer.require(user, replace(attributes, verb="create"))
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

    # Resources

    async def _resource(
        self, request: web.BaseRequest, user: User, resource: Resource, target: Target
    ) -> web.StreamResponse:
        query = request.query
        if target.subresource and target.subresource != "status":
            return await self._parts.handle(request, user, resource, target)
        if target.subresource == "status" and resource.subresource("status") is None:
            raise no_such_path()
        if target.verb not in resource.verbs or (target.verb == "create" and target.name):
            raise method_not_allowed(target.resource, target.group, request.method)
        if resource.verbs == ("create",):
            return await self._question(request, user, resource, target)
        wanted = accept(request.headers.get("Accept"))
        caller = caller_of(request, user)
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
                sent = await self._exchange.read(request)
                record, status = self.operations.create(resource, target.namespace, sent, caller), 201
            case "update":
                sent = await self._exchange.read(request)
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
        return await self._exchange.answer(request, resource, record, wanted, caller, status)

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
        body = await self._exchange.read(request)
        if resource.plural == "bindings":
            pods = self._cluster.registry.find("", "v1", "pods")
            assert pods is not None
            name = (body.get("metadata") or {}).get("name", "")
            answer = self._subresources.bind(pods, target.namespace, name, body, caller_of(request, user))
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
        sent = await self._exchange.read(request)
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
            return await self._exchange.answer(request, resource, record, wanted, caller)
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
