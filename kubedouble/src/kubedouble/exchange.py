"""What comes in with a request and goes out with its answer: bodies in every encoding, an object as it is wanted."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .callers import Caller
from .cluster import Cluster
from .errors import bad_request
from .negotiation import Wanted, read_object, respond
from .protobuf import MEDIA_TYPE as PROTOBUF
from .protobuf import ProtobufReader, WireError
from .reading import Reader
from .resources import Resource
from .store import Record


class Exchange:
    """Between HTTP and objects."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._reader = reader
        self._protobuf = ProtobufReader(cluster.schemas)

    async def read(self, request: web.BaseRequest) -> Any:
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

    async def answer(
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
