"""A NetBox for tests: ``/api/ipam/ip-addresses/`` over real HTTP, with faults on demand.

It answers as NetBox 4.6.8 was seen to, down to the texts: a PATCH is conditional by a weak ETag and validates the whole
entry, not only what it changes; a filter by a tenant that there isn't is refused.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

TOKEN = "0123456789abcdef0123456789abcdef01234567"
NEW_TOKEN = f"nbt_yHgSk0ONVwlm.{TOKEN}"
"""One of the second kind, which NetBox has since 4.5."""
TENANTS = {"lb", "other"}
NO_MATCH = {"detail": "No IPAddress matches the given query."}
PATH = "/api/ipam/ip-addresses/"
LABELS = {"reserved": "Reserved", "active": "Active", "deprecated": "Deprecated"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@functools.cache
def parsed(address: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """Once for each address: what is measured beside this server should not wait for it."""
    return ipaddress.ip_interface(address)


@dataclass
class Entry:
    """An address as NetBox keeps it."""

    id: int
    address: str
    tenant: str = "lb"
    status: str = "reserved"
    description: str = ""
    vrf: str | None = None
    version: int = 0

    @property
    def ip(self) -> str:
        return str(parsed(self.address).ip)

    def write(self, fields: Mapping[str, str]) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self.version += 1

    def json(self, url: str) -> dict[str, Any]:
        family = parsed(self.address).version
        return {
            "id": self.id,
            "url": f"{url}{self.id}/",
            "family": {"value": family, "label": f"IPv{family}"},
            "address": self.address,
            "vrf": {"name": self.vrf} if self.vrf is not None else None,
            "tenant": {"id": 1, "name": self.tenant, "slug": self.tenant},
            "status": {"value": self.status, "label": LABELS[self.status]},
            "description": self.description,
            "tags": [],
            "custom_fields": {},
        }


class Netbox:
    """The store and its HTTP side."""

    def __init__(
        self, *, has_etags: bool = True, most: int = 1000, prefix: str = "", knows_prefix: bool = True
    ) -> None:
        self.entries: dict[int, Entry] = {}
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self.refused = 0
        """Requests with a wrong token."""
        self.is_read_only = False
        """Whether the token may only read."""
        self.locked: set[str] = set()
        """Addresses that the token may see, and not change."""
        self.fault: Handler | None = None
        """Answers instead of us."""
        self.before_patch: Callable[[Entry], None] | None = None
        """What another client does just before a PATCH is carried out."""
        self.on_patched: Callable[[Entry], Awaitable[None]] | None = None
        """Called between a PATCH and its answer."""
        self._has_etags = has_etags
        self._most = most
        self._path = prefix + PATH
        self._shown_path = self._path if knows_prefix else PATH

    def add(self, *addresses: str, tenant: str = "lb", vrf: str | None = None) -> None:
        for address in addresses:
            number = len(self.entries) + 1
            self.entries[number] = Entry(number, address, tenant, vrf=vrf)

    def entry(self, ip: str) -> Entry:
        return next(entry for entry in self.entries.values() if entry.ip == ip)

    def state(self) -> dict[str, tuple[str, str]]:
        """(status, description) by address."""
        return {entry.ip: (entry.status, entry.description) for entry in self.entries.values()}

    def count(self, method: str) -> int:
        """Requests so far."""
        return sum(made == method for made, _ in self.requests)

    def edit(self, ip: str, **fields: str) -> None:
        """What another client writes."""
        self.entry(ip).write(fields)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Netbox]:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get(self._path, self._list)
        app.router.add_get(self._path + "{id}/", self._read)
        app.router.add_patch(self._path + "{id}/", self._patch)
        app.router.add_get("/login/", self._login)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"
        try:
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        if self.fault is not None:
            return await self.fault(request)
        if request.headers.get("Authorization") not in (f"Token {TOKEN}", f"Bearer {NEW_TOKEN}"):
            self.refused += 1
            return web.json_response({"detail": "Invalid v1 token"}, status=403)
        if self.is_read_only and request.method != "GET":
            return web.json_response({"detail": "You do not have permission to perform this action."}, status=403)
        return await handler(request)

    async def _login(self, _: web.Request) -> web.Response:
        return web.Response(text="<html>Log in</html>", content_type="text/html")

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        if not TENANTS.issuperset(query.getall("tenant", ())):
            choice = f"Select a valid choice. {query['tenant']} is not one of the available choices."
            return web.json_response({"tenant": [choice]}, status=400)
        found = [entry for entry in self.entries.values() if self._matches(entry, query)]
        if query.get("ordering") != "id":
            found.sort(key=lambda entry: (parsed(entry.address).version, parsed(entry.address).ip))
        limit, offset = min(int(query.get("limit", 50)) or self._most, self._most), int(query.get("offset", 0))
        page = found[offset : offset + limit]
        following = None
        if offset + limit < len(found):
            following = str(request.url.update_query(limit=limit, offset=offset + limit))
        body = {
            "count": len(found),
            "next": following,
            "previous": None,
            "results": [self._show(entry) for entry in page],
        }
        return web.json_response(body)

    @staticmethod
    def _matches(entry: Entry, query: Any) -> bool:
        return (
            query.get("tenant", entry.tenant) == entry.tenant
            and entry.status in (query.getall("status", None) or [entry.status])
            and query.get("description", entry.description) == entry.description
            and ("address" not in query or query["address"] == entry.ip)
            and int(query.get("family", 0)) in (0, parsed(entry.address).version)
        )

    async def _read(self, request: web.Request) -> web.Response:
        entry = self.entries.get(int(request.match_info["id"]))
        if entry is None:
            return web.json_response(NO_MATCH, status=404)
        return web.json_response(self._show(entry), headers=self._headers(entry))

    async def _patch(self, request: web.Request) -> web.Response:
        entry = self.entries.get(int(request.match_info["id"]))
        if entry is None or entry.ip in self.locked:
            return web.json_response(NO_MATCH, status=404)
        changes = await request.json()
        if self.before_patch is not None:
            self.before_patch(entry)
        condition = request.headers.get("If-Match")
        if self._has_etags and condition is not None and condition != self._headers(entry)["ETag"]:
            return web.json_response({"detail": "Precondition failed."}, status=412)
        if changes.get("status", "active") not in LABELS or len(changes.get("description", "")) > 200:
            return web.json_response({"status": ["is not a valid choice."]}, status=400)
        if any((entry.ip, entry.vrf) == (other.ip, other.vrf) for other in self.entries.values() if other is not entry):
            table = f"VRF {entry.vrf}" if entry.vrf is not None else "global table"
            sentence = f"Duplicate IP address found in {table}: {entry.address}"
            return web.json_response({"address": [sentence]}, status=400)
        entry.write(changes)
        if self.on_patched is not None:
            await self.on_patched(entry)
        return web.json_response(self._show(entry), headers=self._headers(entry))

    def _show(self, entry: Entry) -> dict[str, Any]:
        return entry.json(self.url.rstrip("/") + self._shown_path)

    def _headers(self, entry: Entry) -> dict[str, str]:
        return {"ETag": f'W/"{entry.version}"'} if self._has_etags else {}


def answering(status: int, **headers: str) -> Handler:
    """A fault: every request gets this."""

    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"detail": "no"}, status=status, headers=named)

    return answer


async def hanging(_: web.Request) -> web.Response:
    """A fault: no answer."""
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits for so long")
