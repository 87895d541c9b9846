"""For how long an address on layer 2 is silent when its node's cable is cut: this, and others, by the benches.

Owns the chart. Figures are those of docs/failover.md and docs/gossip.md, which a test compares; a Lease's length is
what the others' documents say of their defaults, and is drawn otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from docs.drawings.svg import picture, rule, text

WIDTH, LEFT, RIGHT, TOP, ROW = 960, 250, 60, 84, 46
MOST: Final = 20.0
"""Seconds at the right end."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Seconds: the median and the worst that was measured; or from where to where a document says that it is."""

    title: str
    low: float
    high: float
    source: str
    is_measured: bool = True


BARS: Final[Sequence[Bar]] = (
    Bar("this", 0.321, 0.506, "measured, median and worst of 20"),
    Bar("keepalived, adverts each 0.1 s", 0.267, 0.313, "measured, the same cut"),
    Bar("keepalived, as it comes", 2.640, 3.030, "measured, the same cut"),
    Bar("memberlist's own pace (MetalLB)", 6.13, 13.25, "measured with serf: until all know of the death"),
    Bar("PureLB v0.17", 0.0, 10.0, "documented: a Lease of 10 s", is_measured=False),
    Bar("kube-vip", 0.0, 15.0, "documented: a Lease of 15 s", is_measured=False),
    Bar("Cilium", 10.0, 20.0, "documented: 10 to 20 s", is_measured=False),
)


def draw() -> str:
    """The chart, from zero."""
    height = TOP + ROW * len(BARS) + 50
    elements = [
        text((24, 36), "A node loses its cable: how long its address on layer 2 is silent", "head"),
        text(
            (24, 56),
            "Filled: measured here, from the median to the worst. Outlined: what its documents say of its defaults.",
            "small faint",
        ),
    ]
    for second in range(0, int(MOST) + 1, 5):
        x = _x(second)
        elements += [
            rule((x, TOP - 8), (x, height - 40)),
            text((x, height - 22), f"{second} s", "small faint", anchor="middle"),
        ]
    for number, bar in enumerate(BARS):
        elements += _bar(bar, TOP + ROW * number)
    return picture(WIDTH, height, "Silence after a node's death: 0.32 s here, others from 0.27 to 20 s", elements)


def _x(seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * seconds / MOST


def _bar(bar: Bar, top: float) -> list[str]:
    start, middle, end = _x(0), _x(bar.low), _x(bar.high)
    label = text((LEFT - 12, top + 15), bar.title, "head" if bar.title == "this" else "", anchor="end")
    if not bar.is_measured:
        shape = f'<rect class="line" x="{middle:g}" y="{top:g}" width="{end - middle:g}" height="20" rx="3"/>'
        return [label, shape, text((middle + 8, top + 15), bar.source, "small faint")]
    shape = (
        f'<rect class="mark" x="{start:g}" y="{top:g}" width="{middle - start:g}" height="20"/>'
        f'<rect class="mark" fill-opacity="0.35" x="{middle:g}" y="{top:g}" width="{end - middle:g}" height="20"/>'
    )
    words = f"{bar.low:.2f} s, worst {bar.high:.2f} s; {bar.source}"
    if end < _x(MOST / 2):
        return [label, shape, text((end + 8, top + 15), words, "small faint")]
    return [label, shape, text((start, top + 34), words, "small faint")]
