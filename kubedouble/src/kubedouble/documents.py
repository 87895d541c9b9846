"""Everything that is no resource: health, /version, discovery and OpenAPI documents.

Owns their paths. What the documents say is `discovery.py` and `openapi.py`.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from .cluster import Cluster
from .discovery import AGGREGATED, VERSION, Discovery
from .errors import JsonObject, no_such_path
from .negotiation import respond
from .openapi import OpenApi
from .openapiwire import ACCEPTED
from .openapiwire import MEDIA_TYPE as OPENAPI_PROTOBUF
from .store import encode

_HEALTH: Final = ("/healthz", "/livez", "/readyz")


class Documents:
    def __init__(self, cluster: Cluster) -> None:
        self._discovery = Discovery(cluster.registry)
        self._openapi = OpenApi(cluster)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Raises `StatusError` 404."""
        path = request.path.rstrip("/") or "/"
        if path.startswith(_HEALTH):
            return await respond(request, b"ok", content_type="text/plain")
        wants_aggregated = "as=APIGroupDiscoveryList" in request.headers.get("Accept", "")
        document: JsonObject | None
        match path.strip("/").split("/"):
            case ["version"]:
                document = VERSION
            case ["api" | "apis"] if wants_aggregated:
                body = self._discovery.aggregated(core=path == "/api")
                response = await respond(request, body)
                response.headers["Content-Type"] = AGGREGATED
                response.headers["Vary"] = "Accept"
                return response
            case ["api"]:
                document = self._discovery.legacy_versions(request.host)
            case ["apis"]:
                document = self._discovery.groups()
            case ["api", version]:
                document = self._discovery.resources("", version)
            case ["apis", group]:
                document = self._discovery.group(group)
            case ["apis", group, version]:
                document = self._discovery.resources(group, version)
            case ["openapi", "v3"]:
                document = self._openapi.index()
            case ["openapi", "v3", *rest]:
                made = self._openapi.document("/".join(rest))
                if made is None:
                    raise no_such_path()
                return await respond(request, made)
            case ["openapi", "v2"]:
                protobuf = any(media in request.headers.get("Accept", "") for media in ACCEPTED)
                made = self._openapi.swagger(protobuf=protobuf)
                return await respond(request, made, content_type=OPENAPI_PROTOBUF if protobuf else "application/json")
            case [""]:
                document = {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}
            case _:
                document = None
        if document is None:
            raise no_such_path()
        return await respond(request, encode(document))
