"""placeholder"""
from __future__ import annotations
from .errors import JsonObject
def stamp(before: JsonObject | None, new: JsonObject, *, manager: str, operation: str, version: str, subresource: str) -> None:
    new["metadata"].pop("managedFields", None)
