"""The conditions in the status of our objects, as all of Kubernetes has them. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any


def condition(kind: str, holds: bool | None, reason: str, message: str) -> dict[str, str]:
    """``holds`` is None where nobody can tell."""
    return {"type": kind, "status": "Unknown" if holds is None else str(holds), "reason": reason, "message": message}


def timed(told: dict[str, str], known: Mapping[str, Any] | None, now: datetime.datetime) -> dict[str, Any]:
    """When the condition last changed its status (apimachinery, SetStatusCondition)."""
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    if known is not None and known.get("status") == told["status"]:
        since = known.get("lastTransitionTime", since)
    return told | {"lastTransitionTime": since}
