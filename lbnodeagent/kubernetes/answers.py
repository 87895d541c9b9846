"""Who takes the API server's answers to what we write. They may be older than what is known by then."""

from __future__ import annotations

from typing import Protocol

from purelb.answers import JsonObject


class Answers(Protocol):
    """About Services."""

    @property
    def epoch(self) -> int:
        """To be noted when a request is sent."""
        ...

    def answered(self, body: JsonObject, epoch: int) -> object:
        """The API server answered with this Service to a request of ``epoch``."""
        ...
