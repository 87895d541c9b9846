"""A ServiceGroup's status in a line: the texts of `kubectl get servicegroups`' columns. Pure.

kubectl prints a list as JSON and a /64 as twenty digits; these say the same in a few letters, so that all columns of
`-o wide` fit in 120.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from allocator.ipam.engine import Usage
from purelb.addresses import Family

WIDEST_RANGE: Final = 20
WIDEST_NAMESPACE: Final = 12
"""Characters that a column is worth; the status has the whole text."""
COUNTABLE: Final = 10**7
"""Above it a size is shown as a power of two."""


def summary(usages: Sequence[Usage], ranges: Sequence[str], namespaces: Sequence[str] | None) -> dict[str, str]:
    """The field ``summary`` of a status; a family without addresses is empty."""
    filling = {usage.family: f"{usage.in_use}/{_size(usage.size)}" for usage in usages if usage.size}
    return {
        "ipv4": filling.get(Family.IPV4, ""),
        "ipv6": filling.get(Family.IPV6, ""),
        "ranges": _first_of([_short(text) for text in ranges], WIDEST_RANGE),
        "namespaces": "all" if namespaces is None else _first_of(namespaces, WIDEST_NAMESPACE),
    }


def _size(size: int) -> str:
    if size < COUNTABLE:
        return str(size)
    power = size.bit_length() - 1
    return f"2^{power}" if size == 1 << power else f"{size:.1e}"


def _short(text: str) -> str:
    """``10.31.188.64-10.31.188.126`` as ``10.31.188.64-…126``, if it is too wide."""
    first, dash, last = text.partition("-")
    if not dash or len(text) <= WIDEST_RANGE:
        return text
    first, last = first.strip(), last.strip()
    common = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(last))
    part = max(last.rfind(".", 0, common), last.rfind(":", 0, common)) + 1
    return f"{first}-…{last[part:]}" if part else text


def _first_of(texts: Sequence[str], widest: int) -> str:
    if not texts:
        return ""
    first = texts[0] if len(texts[0]) <= widest else f"{texts[0][: widest - 1]}…"
    return first if len(texts) == 1 else f"{first} +{len(texts) - 1}"
