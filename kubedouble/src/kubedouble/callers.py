"""Who writes, and how: what a request says of it beside the object."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from .auth import User
from .errors import bad_request


@dataclass(slots=True)
class Caller:
    """Who writes, and how: `field_validation` is Strict, Warn or Ignore."""

    user: User
    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)


def caller_of(request: web.BaseRequest, user: User) -> Caller:
    """Raises `StatusError` 400 for options that are none."""
    query = request.query
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = query.get("fieldValidation", "Warn") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(f'fieldValidation: Unsupported value: "{validation}"')
    agent = request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
    return Caller(user, query.get("fieldManager") or agent, bool(dry_run), validation)
