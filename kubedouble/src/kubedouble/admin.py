"""The admin port: faults over HTTP, for the lab's command line and for tests in another process.

GET /faults                     what is active
POST /faults                    {"kind": "status", "code": 429, "resource": "services", "count": 3}
DELETE /faults, /faults/ID      clear all, or one
POST /drop-watches, /expire     cut the watches; forget history too, so that they get 410
POST /restart                   {"refusing": 1, "loading": 1}, in seconds: refuse connections, then say 403, then serve;
                                with "user_agent" 403 to those alone
POST /rotate                    another CA, whose PEM is answered as "ca", and another key for ServiceAccounts' tokens
POST /remember, /go-back        take a snapshot of all objects; be again as in it, as after a restore of etcd
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from .errors import JsonObject
from .faults import Faults


def admin_handler(faults: Faults) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["faults"]:
                return web.json_response([fault.as_json() for fault in faults.active()])
            case "POST", ["faults"]:
                return await _add(faults, request)
            case "DELETE", ["faults"]:
                faults.clear()
                return web.json_response({})
            case "DELETE", ["faults", number] if number.isdigit():
                found = faults.clear_id(int(number))
                return web.json_response({}, status=200 if found else 404)
            case "POST", ["drop-watches"]:
                return web.json_response({"dropped": faults.drop_watches()})
            case "POST", ["expire"]:
                return web.json_response({"dropped": faults.expire()})
            case "POST", ["restart"]:
                return await _do(faults.restart, request)
            case "POST", ["rotate"]:
                return web.json_response({"ca": faults.rotate()})
            case "POST", ["remember"]:
                return await _do(faults.remember, request)
            case "POST", ["go-back"]:
                return await _do(faults.go_back, request)
            case _:
                return web.json_response({"error": "no such command"}, status=404)

    return handle


async def _add(faults: Faults, request: web.BaseRequest) -> web.Response:
    try:
        wish: JsonObject = json.loads(await request.read())
        fault = faults.add(**wish)
    except (TypeError, ValueError) as wrong:
        return web.json_response({"error": str(wrong)}, status=400)
    return web.json_response(fault.as_json(), status=201)


async def _do(action: Callable[..., None], request: web.BaseRequest) -> web.Response:
    """The body, if there is one, has the action's arguments."""
    try:
        action(**json.loads(await request.read() or "{}"))
    except (TypeError, ValueError) as wrong:
        return web.json_response({"error": str(wrong)}, status=400)
    return web.json_response({})
