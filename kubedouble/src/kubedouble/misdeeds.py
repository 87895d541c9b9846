"""What each fault does to a request that it meets: one table, a small function each.

It knows connections and answers, but no objects. Whom a fault meets is `fault.py`'s, which are active `faults.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn, TypeAlias

from aiohttp import web

from .connections import Connections, reset
from .errors import expired
from .fault import Fault
from .watching import error_frame

Misdeed: TypeAlias = Callable[[web.BaseRequest, Fault, Connections], Awaitable[web.StreamResponse | None]]
"""Gives the answer, or None where the request goes on to be answered well. Raises `StatusError` for a refusal."""

PAGE: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
HALF: Final = b'{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"ha'
WHOLE: Final = b'{"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1","metadata":{"resourceVersion":"1"}}}\n'


async def _refuses(_: web.BaseRequest, fault: Fault, __: Connections) -> NoReturn:
    raise fault.error()


async def _is_slow(_: web.BaseRequest, fault: Fault, __: Connections) -> None:
    await asyncio.sleep(fault.milliseconds / 1000)


async def _hangs(_: web.BaseRequest, __: Fault, ___: Connections) -> None:
    await asyncio.Event().wait()


async def _is_half_open(request: web.BaseRequest, _: Fault, connections: Connections) -> None:
    connections.freeze(request)
    await asyncio.Event().wait()


async def _is_down(request: web.BaseRequest, _: Fault, __: Connections) -> None:
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()  # its task is cancelled, as the client's end would do it


async def _resets(request: web.BaseRequest, _: Fault, __: Connections) -> None:
    if request.transport is not None:
        reset(request.transport)
    await asyncio.Event().wait()


async def _expires(request: web.BaseRequest, _: Fault, __: Connections) -> web.StreamResponse:
    return await _streams(request, error_frame(expired("too old resource version: 1 (2)")))


async def _shows_a_page(_: web.BaseRequest, __: Fault, ___: Connections) -> web.StreamResponse:
    return web.Response(body=PAGE, content_type="text/html")


async def _redirects(_: web.BaseRequest, __: Fault, ___: Connections) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://login.invalid/"})


async def _breaks_a_line(request: web.BaseRequest, _: Fault, __: Connections) -> web.StreamResponse:
    response = await _streams(request, HALF + b"\n" + WHOLE)
    await asyncio.Event().wait()
    return response


async def _cuts_a_line(request: web.BaseRequest, _: Fault, __: Connections) -> web.StreamResponse:
    return await _streams(request, HALF)


async def _streams(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """A watch that begins well, and says this."""
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(body)
    return response


MISDEEDS: Final[Mapping[str, tuple[Misdeed, str]]] = {
    "status": (_refuses, "it answers with a code (401, 403, 404, 409, 410, 429 with Retry-After, 500, 503, ...)"),
    "read-only": (_refuses, "it refuses writes with 403"),
    "quota": (_refuses, "it refuses to create anything, with 403, as a ResourceQuota that is used up does"),
    "admission": (_refuses, "it refuses writes with 422, as a ValidatingAdmissionPolicy does"),
    "slow": (_is_slow, "it answers late"),
    "hang": (_hangs, "it takes requests and never answers them; running watches go on"),
    "half-open": (_is_half_open, "connections stay, running watches too, and nothing comes by them ever again"),
    "down": (_is_down, "it cuts connections, running watches too"),
    "reset": (_resets, "likewise, by RST"),
    "expire-watches": (_expires, "watches get 410 in their stream"),
    "html": (_shows_a_page, "it answers 200 with an HTML page, as a proxy that wants a login"),
    "redirect": (_redirects, "it answers 302, likewise"),
    "broken-line": (_breaks_a_line, "watches tell half an event, and go on"),
    "cut-line": (_cuts_a_line, "watches tell half an event, and end"),
}
"""Kind -> what it does, and that in words."""
