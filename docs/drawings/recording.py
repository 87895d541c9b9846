"""A recording of a terminal (asciicast v2) as a moving SVG: what was printed scrolls by, at the pace of a reader.

Owns how long what is shown, and the few escape sequences that our programs print (SGR: bold, dim, green, red). Pure but
for reading the file. Format: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

CAST: Final = Path(__file__).parents[1] / "img" / "demo.cast"

ROW: Final = 18
COLUMN: Final = 8.45
MARGIN: Final = 14
PAUSE: Final = 0.2
"""Seconds without output after which what was printed is looked at."""
GLANCE: Final = 0.5
PER_LINE: Final = 0.06
"""Seconds for which a frame stays, and more for each new line."""
REST: Final = 6.0
"""Seconds for which the end stays."""

_SGR: Final = re.compile("\033\\[(\\d*)m")
_CLASSES: Final = {"1": "b", "2": "d", "31": "r", "32": "g"}
_STYLE: Final = """\
  rect { fill: #0d1117 }
  text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }
  .b { font-weight: 700 }
  .d { fill: #9198a1 }
  .g { fill: #56d364 }
  .r { fill: #ff7b72 }"""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a terminal of so many columns and rows was sent: seconds since the begin, and text."""

    columns: int
    rows: int
    output: tuple[tuple[float, str], ...]


def read(text: str) -> Recording:
    """From the lines of an asciicast."""
    header, *events = [json.loads(line) for line in text.splitlines()]
    if header["version"] != 2:
        raise ValueError(f"asciicast v2 is known, not v{header['version']}")
    return Recording(header["width"], header["height"], tuple((at, data) for at, kind, data in events if kind == "o"))


def frames(recording: Recording) -> list[tuple[list[str], float]]:
    """Lines that come together, and for how many seconds what is then on the screen stays."""
    parts: list[list[str]] = []
    before = 0.0
    for at, data in recording.output:
        lines = data.replace("\r\n", "\n").removesuffix("\n").split("\n")
        begins = _is_heading(lines[-1]) or (bool(parts) and _ends(parts[-1]))
        if parts and (not any(parts[-1]) or (at - before < PAUSE and not begins)):
            parts[-1] += lines
        else:
            parts.append(lines)
        before = at
    seconds = [GLANCE + PER_LINE * len(lines) for lines in parts]
    return list(zip(parts, [*seconds[:-1], REST], strict=True))


def _is_heading(line: str) -> bool:
    return _SGR.sub("", line).startswith("## ")


def _ends(lines: Sequence[str]) -> bool:
    """Whether a step ends with these lines: a tick or a cross."""
    return _SGR.sub("", lines[-1]).lstrip().startswith(("✓", "✗"))


def draw() -> str:
    """The demo."""
    return animation(read(CAST.read_text(encoding="utf-8")), "make demo: each step, what it printed, and a tick")


def animation(recording: Recording, title: str) -> str:
    """The picture, which goes on and on; for who wants no motion it stands at its end."""
    shown = frames(recording)
    lines = [line for part, _ in shown for line in part]
    ends = list(accumulate(len(part) for part, _ in shown))
    starts = [0.0, *accumulate(seconds for _, seconds in shown)]
    total = starts[-1]
    steps = [
        f"    {100 * start / total:.2f}% {{ transform: translateY({(recording.rows - end) * ROW}px) }}"
        for start, end in zip(starts, ends, strict=False)
    ]
    width, height = round(recording.columns * COLUMN) + 2 * MARGIN, recording.rows * ROW + 2 * MARGIN
    rest = f"translateY({(recording.rows - ends[-1]) * ROW}px)"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}",
            f"  .screen {{ transform: {rest}; animation: scroll {total:.1f}s step-end infinite }}",
            "  @keyframes scroll {",
            *steps,
            f"    100% {{ transform: {rest} }}",
            "  }",
            "  @media (prefers-reduced-motion: reduce) { .screen { animation: none } }\n</style>",
            f'<clipPath id="window"><rect y="{MARGIN}" width="{width}" height="{height - 2 * MARGIN}"/></clipPath>',
            f'<rect width="{width}" height="{height}" rx="8"/>',
            '<g clip-path="url(#window)"><g class="screen">',
            *(_row(number, line) for number, line in enumerate(lines) if line),
            "</g></g>",
            "</svg>\n",
        )
    )


def _row(number: int, line: str) -> str:
    return f'<text x="{MARGIN}" y="{MARGIN + (number + 1) * ROW - 5}">{"".join(_spans(line))}</text>'


def _spans(line: str) -> list[str]:
    """The line's parts, each in its colour."""
    parts, kind = [], ""
    for place, part in enumerate(_SGR.split(line)):
        if place % 2:
            kind = _CLASSES.get(part, "")
        elif part:
            parts.append(f'<tspan class="{kind}">{escape(part)}</tspan>' if kind else escape(part))
    return parts
