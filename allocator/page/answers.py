"""How the page answers: which files there are, under which names it may be asked for, and what browsers may do with it.

It must not know what is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeAlias

from purelb.light_aiohttp import aiohttp
from purelb.light_web import web

FOLDER: Final = Path(__file__).with_name("static")
FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "told", "whatif", "theme", "rows", "dom")},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Path: file, and its type."""
HEADERS: Final = {
    # Nothing from elsewhere, no code or style but our files', no HTML made of text, nobody's frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def read_files() -> dict[str, bytes]:
    """The content of each, by its path. Raises OSError; it blocks."""
    return {path: (FOLDER / name).read_bytes() for path, (name, _) in FILES.items()}


def add_files(app: web.Application, contents: Mapping[str, bytes]) -> None:
    """Have them served."""
    for path, content in contents.items():
        app.router.add_get(path, _file(content, FILES[path][1]))


def _file(content: bytes, kind: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind, charset=None if kind.startswith("image") else "utf-8")

    return answer


def asked_for_by(host: str, names: Collection[str]) -> bool:
    """Whether we may be asked for under this Host: an address, localhost, or one of ``names``.

    Any other name is a stranger's that leads here, by which a page of his would read ours in the reader's browser (DNS
    rebinding).
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.removeprefix("[").removesuffix("]").lower().rstrip(".")
    if name == "localhost" or name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def guard(names: Collection[str]) -> aiohttp.typedefs.Middleware:
    """The middleware that asks for the Host and adds our headers to every answer."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not asked_for_by(request.host, names):
            raise web.HTTPMisdirectedRequest(text="This page isn't known by that name: see PURELB_PAGE_NAMES.\n")
        return await handler(request)

    return guarded


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Of every answer, also of errors (on_response_prepare)."""
    response.headers.update(HEADERS)
    response.headers.pop("Server", None)
