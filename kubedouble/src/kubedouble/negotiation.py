"""Bodies in and out: media types, encodings, patches by their content type.

Owns what the server reads and writes as bytes. Must not touch: what the bytes mean.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

import yaml
from aiohttp import web

from .errors import StatusError, bad_request, not_acceptable, unsupported_media_type
from .store import encode

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
READABLE: Final = ("application/json", "application/yaml")

_COMPRESS_FROM: Final = 128 * 1024
"""Bytes from which a body is gzipped, if the client takes that (apiserver `responsewriters`)."""
_THREAD_FROM: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an Accept header asks for: plain objects, Tables, or only metadata."""

    form: str = ""
    yaml: bool = False


def accept(header: str | None) -> Wanted:
    """The first acceptable type wins, as clients list them by preference. Raises `StatusError` 406."""
    if not header:
        return Wanted()
    for option in header.split(","):
        media, *parameters = (part.strip() for part in option.split(";"))
        values = dict(part.partition("=")[::2] for part in parameters if "=" in part)
        if media in ("application/json", "*/*", "application/*"):
            form = values.get("as", "")
            if form in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
                return Wanted(form)
        elif media == "application/yaml" and "as" not in values:
            return Wanted(yaml=True)
    raise not_acceptable(("application/json", "application/yaml"))


def read_object(body: bytes, content_type: str) -> Any:
    """Raises `StatusError` 400 or 415."""
    media = content_type.partition(";")[0].strip()
    if media in ("application/json", "", "application/octet-stream", "text/plain"):
        return _json(body)
    if media in ("application/yaml", "text/yaml", "application/x-yaml"):
        return read_yaml(body)
    raise unsupported_media_type(READABLE)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as wrong:
        raise bad_request(f"the object provided is unrecognized: json parse error: {wrong}") from None


def read_yaml(body: bytes) -> Any:
    """YAML, of which JSON is a part (and is read faster)."""
    if body[:1] == b"{":
        return _json(body)
    try:
        return yaml.load(body, Loader=_Loader)
    except yaml.YAMLError as wrong:
        raise bad_request(f"error decoding YAML: {wrong}") from None


class _Loader(yaml.SafeLoader):
    """Times stay text, as in Kubernetes' YAML."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


async def respond(
    request: web.BaseRequest,
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    warnings: list[str] | None = None,
) -> web.Response:
    response = web.Response(body=body, status=status, headers=_HEADERS, content_type=content_type)
    for warning in warnings or ():
        text = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{text}"')
    if len(body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        if len(body) >= _THREAD_FROM:
            response.body = await asyncio.to_thread(_gzip, body)
        else:
            response.body = _gzip(body)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


_HEADERS: Final = {"Cache-Control": "no-cache, private"}


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(body) + compressor.flush()


def error_response(error: StatusError) -> web.Response:
    response = web.Response(
        body=encode(error.status()), status=error.code, headers=_HEADERS, content_type="application/json"
    )
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="kubernetes"'
    return response
