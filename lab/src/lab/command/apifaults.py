"""Faults of the lab's API server: `purelb-lab fault api KIND`, asked for at its admin port.

Owns their names on the command line. What they do is `kubedouble`'s; they befall PureLB's programs alone, so that the
operator's kubectl and the lab go on, except those that befall the server as a whole. What can befall a real one is the
supervisor's to do: see `serverfaults`.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lab.command import control
from lab.errors import FaultRefused
from lab.settings import API, API_FAULTS, FAULTS_FILE

PROGRAMS: Final = "purelb-"
"""What the user agents of both programs have in common."""
WHOLE: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "drop-watches": ("/drop-watches", {}),
    "expire": ("/expire", {}),
    "restart": ("/restart", {"refusing": 2.0, "loading": 5.0}),
    "remember": ("/remember", {}),
    "go-back": ("/go-back", {}),
}
"""What befalls the server as a whole, once: the admin port's path, and what is told it."""
ROTATE: Final = "rotate"
"""Takes more than the server: see `rotation`."""
_PATIENCE: Final = 20.0
_REAL_PATIENCE: Final = 120.0
"""Seconds."""


def begin(folder: Path, kind: str, verb: str | None) -> str:
    """Have the API server fail; a sentence about it. Raises LabError."""
    if _is_real(folder):
        if verb is not None:
            raise FaultRefused("a real API server fails for everybody: it takes no --verb")
        return str(control.request(folder, "fault", _REAL_PATIENCE, target=API, kind=kind).values["done"])
    if kind == ROTATE:
        if verb is not None:
            raise FaultRefused(f"{kind} befalls the API server as a whole: it takes no --verb")
        return str(control.request(folder, "fault", _REAL_PATIENCE, target=API, kind=kind).values["done"])
    if kind in WHOLE:
        if verb is not None:
            raise FaultRefused(f"{kind} befalls the API server as a whole: it takes no --verb")
        ask(folder, "POST", *WHOLE[kind])
        return f"API server: {kind}"
    if kind not in API_FAULTS and not (kind.isdecimal() and 400 <= int(kind) <= 599):
        raise FaultRefused(f"no fault {kind!r} of the API server; there are: a code (429), {', '.join(API_FAULTS)}")
    wish: dict[str, Any] = {"kind": "status", "code": int(kind)} if kind.isdecimal() else {"kind": kind}
    if kind == "slow":
        wish["milliseconds"] = 1000
    ask(folder, "POST", "/faults", {**wish, "verb": verb, "user_agent": PROGRAMS})
    return f"API server: {kind} for {verb or 'every verb'} of PureLB's programs, until `heal api`"


def end(folder: Path) -> str:
    """End all that last; a sentence about it. Raises LabError."""
    if _is_real(folder):
        return str(control.request(folder, "heal", _REAL_PATIENCE, target=API).values["done"])
    active = ask(folder, "GET", "/faults")
    ask(folder, "DELETE", "/faults")
    names = [str(one["code"]) if one["kind"] == "status" else one["kind"] for one in active]
    return f"API server: {', '.join(names) + ' healed' if names else 'nothing to heal'}"


def ask(folder: Path, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the admin port (`kubedouble.admin`) answers. Raises LabError."""
    if _is_real(folder):
        raise FaultRefused("a real API server takes no orders")
    connection = http.client.HTTPConnection(
        urlsplit((folder / FAULTS_FILE).read_text().strip()).netloc, timeout=_PATIENCE
    )
    try:
        connection.request(method, path, json.dumps(body).encode() if body is not None else None)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as failure:
        raise FaultRefused(f"the API server's admin port does not answer: {failure}") from failure
    finally:
        connection.close()
    if answer.status >= 300:
        raise FaultRefused(str(said.get("error", said)))
    return said


def _is_real(folder: Path) -> bool:
    """Whether the lab's API server is a real one. Raises NoLab."""
    control.connect(folder).close()
    return not (folder / FAULTS_FILE).exists()
