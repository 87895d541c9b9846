"""How long our programs wait for an API server that says nothing. Pure; whoever runs a program may have other times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    request: float = 10.0
    """That one request may take, connecting included, and a watch until it is answered."""
    watch: float = 150.0
    """After which a server is asked to end a watch; a follower takes a fifth more or less. So long may one that is
    half-open, behind a proxy that still answers for it, go unnoticed."""
