"""Answers that go on: a watch's events, a pod's log. A client that goes away ends them quietly."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from aiohttp import web

from .errors import StatusError
from .watching import Watch, error_frame


async def send_watch(
    request: web.BaseRequest, watch: Watch, version: str, *, initial_events: bool
) -> web.StreamResponse:
    """Until the watch ends; a version that is too old is told in the stream, as the API has it."""
    response = web.StreamResponse(headers={"Cache-Control": "no-cache, private"})
    response.content_type = "application/json"
    with contextlib.suppress(ConnectionError):
        try:
            first = watch.start(version, initial_events=initial_events)
        except StatusError as refused:
            await response.prepare(request)
            await response.write(error_frame(refused))
            return response
        await response.prepare(request)
        if first:
            await response.write(b"".join(first))
        await watch.run(response)
        await response.write_eof()
    return response


async def send_log(request: web.BaseRequest, lines: AsyncGenerator[bytes]) -> web.StreamResponse:
    """Headers go out with the first line: what comes before it can still be refused."""
    response = web.StreamResponse()
    response.content_type = "text/plain"
    try:
        with contextlib.suppress(ConnectionError):
            first = await anext(lines, None)
            await response.prepare(request)
            if first:
                await response.write(first)
            async for chunk in lines:
                await response.write(chunk)
            await response.write_eof()
    finally:
        await lines.aclose()
    return response
