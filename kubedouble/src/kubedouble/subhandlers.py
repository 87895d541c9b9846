"""Requests for a part of an object, `status` apart: logs, commands, scale, eviction, tokens and the like.

Owns the path from such a request to `subresources` and back; who may ask is `handlers`'.
"""

from __future__ import annotations

from aiohttp import web

from .auth import User
from .callers import Caller, caller_of
from .cluster import Cluster
from .errors import JsonObject, bad_request, method_not_allowed, no_such_path
from .exchange import Exchange
from .kubelets import Kubelets
from .logs import LogProvider, read_options
from .negotiation import Wanted, accept, respond
from .operations import Operations
from .patching import read_change
from .paths import Target
from .resources import Resource
from .store import Record, encode
from .streams import send_log
from .subresources import Subresources


class SubresourceHandlers:
    """Answers them."""

    def __init__(
        self,
        cluster: Cluster,
        operations: Operations,
        subresources: Subresources,
        exchange: Exchange,
        logs: LogProvider,
        kubelets: Kubelets,
    ) -> None:
        self._cluster = cluster
        self._operations = operations
        self._subresources = subresources
        self._exchange = exchange
        self._logs = logs
        self._kubelets = kubelets

    async def handle(
        self, request: web.BaseRequest, user: User, resource: Resource, target: Target
    ) -> web.StreamResponse:
        sub = resource.subresource(target.subresource)
        if sub is None:
            raise no_such_path()
        if target.verb not in sub.verbs:
            raise method_not_allowed(f"{target.resource}/{target.subresource}", target.group, request.method)
        caller = caller_of(request, user)
        namespace, name = target.namespace, target.name
        record = self._operations.find(resource, namespace, name)
        if target.subresource == "log":
            return await send_log(request, self._logs(record.obj, read_options(record.obj, request.query)))
        if target.subresource == "exec":
            return await self._kubelets.execute(request, record.obj)
        if target.subresource == "ephemeralcontainers" and target.verb == "get":
            return await self._exchange.answer(request, resource, record, accept(request.headers.get("Accept")), caller)
        if target.subresource == "scale":
            scale = self._subresources.scale(resource, record)
            if target.verb == "patch":
                media = request.headers.get("Content-Type", "").partition(";")[0]
                scale = read_change(self._cluster, resource, media, await request.read())(scale)
            elif target.verb == "update":
                scale = await self._exchange.read(request)
            if target.verb != "get":
                scale = self._subresources.set_scale(resource, record, scale, caller)
            return await respond(request, encode(scale))
        if target.subresource == "ephemeralcontainers":
            if target.verb == "patch":
                media = request.headers.get("Content-Type", "").partition(";")[0]
                change = read_change(self._cluster, resource, media, await request.read())
                record = self._operations.patch(resource, namespace, name, change, caller, target.subresource)
            else:
                sent = await self._exchange.read(request)
                record = self._operations.update(resource, namespace, name, sent, caller, target.subresource)
            return await self._exchange.answer(request, resource, record, accept(request.headers.get("Accept")), caller)
        body = await self._exchange.read(request)
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
        return await self._exchange.answer(request, resource, final, Wanted(), caller)
