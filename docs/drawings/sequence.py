"""Who says what to whom, in time: lanes side by side, time downwards.

Owns the layout of such a picture; what happens comes as a list of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from docs.drawings.svg import band, picture, rule, straight, text

TOP = 58
STEP = 34


@dataclass(frozen=True, slots=True)
class Message:
    """From one lane to another; one that is lost ends on its way."""

    start: str
    end: str
    words: str
    when: str = ""
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody does alone."""

    lane: str
    words: str
    when: str = ""
    kind: str = ""


Step = Message | Deed


def draw(
    title: str, lanes: Sequence[str], steps: Sequence[Step], *, width: int, margin: int, foot: Iterable[str]
) -> str:
    """`margin` is what the column of times takes on the left; `foot`: lines below the picture."""
    notes = tuple(foot)
    bottom = TOP + STEP * len(steps) + 12
    height = bottom + 22 + 16 * len(notes)
    return picture(width, height, title, _elements(lanes, steps, width, margin, bottom, notes))


def _elements(
    lanes: Sequence[str], steps: Sequence[Step], width: int, margin: int, bottom: int, notes: tuple[str, ...]
) -> Iterator[str]:
    room = (width - margin) / len(lanes)
    at = {lane: margin + room * (number + 0.5) for number, lane in enumerate(lanes)}
    yield band(1, 12, width - 2, 30)
    for lane, x in at.items():
        yield text((x, 32), lane, "head", anchor="middle")
        yield rule((x, 44), (x, bottom))
    for number, step in enumerate(steps):
        y = TOP + STEP * number + 20
        if step.when:
            yield text((margin - 14, y), step.when, "small faint", anchor="end")
        match step:
            case Message():
                yield from _message(step, at, y)
            case Deed():
                yield from _deed(step, at[step.lane], y, width)
    for number, note in enumerate(notes):
        yield text((20, bottom + 20 + 16 * number), note, "small faint")


def _message(step: Message, at: dict[str, float], y: float) -> Iterator[str]:
    start, end = at[step.start], at[step.end]
    direction = 1 if end > start else -1
    tip = end - direction * 4
    if step.is_lost:
        tip = start + (end - start) * 0.72
        yield text((tip + direction * 12, y + 5), "✕", "bad", anchor="middle")
    yield straight((start + direction * 3, y), (tip, y), dashed=step.is_lost)
    yield from _on_ground(((start + tip) / 2, y - 6), step.words)


def _deed(step: Deed, x: float, y: float, width: int) -> Iterator[str]:
    half = len(step.words) * 3.2
    x = min(max(x, half + 12), width - half - 12)
    yield from _on_ground((x, y), step.words, step.kind or "head")


def _on_ground(at: tuple[float, float], words: str, kind: str = "") -> Iterator[str]:
    """Words before a strip of the ground's colour, so that lines behind them don't strike them through."""
    x, y = at
    half = len(words) * 3.2
    yield f'<rect class="strip" x="{x - half:g}" y="{y - 10:g}" width="{2 * half:g}" height="12"/>'
    yield text(at, words, f"small {kind}", anchor="middle")
