"""Waiting for what comes a little later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(check: Callable[[], Any], within: float = 5.0) -> Any:
    """The first true result of `check`; a real server establishes CRDs and tokens a little later."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.02)
    return found
