"""The few SVG elements that our pictures are made of, readable on light and dark pages.

Owns colours, fonts and text; lengths are pixels, the origin is at the top left.  Each picture has a ground of its own,
as what a page shows behind it isn't known.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

STYLE = """\
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .strip { fill: #ffffff }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .small { font-size: 11.5px }
  .faint { fill: #59636e }
  .good { fill: #1a7f37 }
  .bad { fill: #c1121f }
  .box { fill: #eef2f7; stroke: #6e7781 }
  .band { fill: #f6f8fa }
  .line { stroke: #6e7781; fill: none; stroke-width: 1.4 }
  .thin { stroke: #d1d9e0; fill: none }
  .arrow { fill: #6e7781 }
  .mark { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    .strip { fill: #0d1117 }
    text { fill: #e6edf3 }
    .faint { fill: #9198a1 }
    .good { fill: #56d364 }
    .bad { fill: #ff7b72 }
    .box { fill: #1c2533; stroke: #9198a1 }
    .band { fill: #151b23 }
    .line { stroke: #9198a1 }
    .thin { stroke: #3d444d }
    .arrow { fill: #9198a1 }
    .mark { fill: #4493f8 }
  }"""

Point = tuple[float, float]


def picture(width: int, height: int, title: str, elements: Iterable[str]) -> str:
    """A whole file; `title` is what a screen reader says."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="arrow" d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            *elements,
            "</svg>\n",
        )
    )


def text(at: Point, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """One line; `at` is its baseline's start, middle or end."""
    x, y = at
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def lines(at: Point, words: Iterable[str], kind: str = "", *, anchor: str = "start", height: int = 16) -> list[str]:
    """Several lines below one another."""
    x, y = at
    return [text((x, y + number * height), line, kind, anchor=anchor) for number, line in enumerate(words)]


def box(centre: Point, width: float, height: float, words: str) -> list[str]:
    """A rounded box with one line in its middle."""
    x, y = centre
    left, top = x - width / 2, y - height / 2
    return [
        f'<rect class="box" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="8"/>',
        text((x, y + 5), words, "head", anchor="middle"),
    ]


def band(left: float, top: float, width: float, height: float) -> str:
    """A tinted rectangle behind something."""
    return f'<rect class="band" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>'


def rule(start: Point, end: Point) -> str:
    """A thin line without a tip."""
    return f'<path class="thin" d="M{start[0]:g} {start[1]:g}L{end[0]:g} {end[1]:g}"/>'


def arrow(path: str, *, dashed: bool = False) -> str:
    """A line along an SVG path with a tip at its end."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path class="line" d="{path}"{dash} marker-end="url(#tip)"/>'


def straight(start: Point, end: Point, *, dashed: bool = False) -> str:
    """An arrow without a bend."""
    return arrow(f"M{start[0]:g} {start[1]:g}L{end[0]:g} {end[1]:g}", dashed=dashed)
