"""A program's version as a value: three small numbers, which fit into three bytes."""

from __future__ import annotations

import re
from typing import NamedTuple


class Version(NamedTuple):
    """Each 0 to 255; what is larger, or no number, counts as the nearest."""

    major: int = 0
    minor: int = 0
    patch: int = 0

    def __str__(self) -> str:
        return ".".join(map(str, self))


def parse_version(text: str) -> Version:
    """Of a distribution (PEP 440); what follows the three numbers is left out."""
    numbers = [min(int(number), 255) for number in re.findall(r"\d+", text)[:3]]
    return Version(*numbers)
