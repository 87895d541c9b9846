"""The states of a member: the graph of what moves it, and the table of verdicts itself, both read from the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from docs.drawings.svg import Point, arrow, band, box, lines, picture, rule, text
from memberlist.messages import State
from memberlist.verdicts import TABLE, Age, Row, Says, Standing, Verdict

WIDTH, HEIGHT = 960, 738
BOX = (116, 40)
OTHERS: Mapping[Standing, Point] = {
    Standing.UNKNOWN: (90, 250),
    Standing.ALIVE: (350, 250),
    Standing.SUSPECT: (690, 110),
    Standing.DEAD: (690, 250),
    Standing.LEFT: (690, 412),
}
STANDINGS = {
    State.ALIVE: Standing.ALIVE,
    State.SUSPECT: Standing.SUSPECT,
    State.DEAD: Standing.DEAD,
    State.LEFT: Standing.LEFT,
}
Edge = tuple[Standing, Standing]
EDGES: Mapping[Edge, tuple[str, Point, str]] = {
    # the way of the arrow, where its words begin, and how they are anchored
    (Standing.UNKNOWN, Standing.ALIVE): ("M148 250L290 250", (219, 242), "middle"),
    (Standing.ALIVE, Standing.ALIVE): ("M320 230C300 170 400 170 380 228", (350, 176), "middle"),
    (Standing.ALIVE, Standing.SUSPECT): ("M396 230C450 150 540 118 630 114", (500, 122), "end"),
    (Standing.SUSPECT, Standing.ALIVE): ("M640 130C570 160 490 190 410 234", (560, 176), "start"),
    (Standing.SUSPECT, Standing.SUSPECT): ("M730 90C770 40 830 90 750 104", (806, 72), "start"),
    (Standing.SUSPECT, Standing.DEAD): ("M690 130L690 228", (700, 184), "start"),
    (Standing.SUSPECT, Standing.LEFT): ("M748 118C880 150 880 370 750 406", (852, 266), "start"),
    (Standing.ALIVE, Standing.DEAD): ("M408 242L630 242", (540, 236), "middle"),
    (Standing.DEAD, Standing.ALIVE): ("M632 260L410 260", (520, 276), "middle"),
    (Standing.ALIVE, Standing.LEFT): ("M365 270C400 370 520 424 630 420", (404, 372), "end"),
    (Standing.LEFT, Standing.ALIVE): ("M630 404C550 390 460 340 402 272", (556, 352), "start"),
}
"""A move that the table allows and that isn't here can't be drawn, and a test says so."""
OURS = (Standing.OURSELVES, Standing.LEAVING)
COLUMNS = (Says.ALIVE, Says.ELSEWHERE, Says.SUSPECT, Says.DEAD, Says.LEFT, Says.ALTERED, Says.OUR_ALIVE, Says.OUR_LEFT)
HEADS = {
    Says.ELSEWHERE: "elsewhere",
    Says.ALTERED: "alive, altered",
    Says.OUR_ALIVE: "our own alive",
    Says.OUR_LEFT: "our own left",
}
SIGNS = {
    (Age.OLDER,): " <",
    (Age.SAME,): " =",
    (Age.NEWER,): " >",
    (Age.OLDER, Age.SAME): " ≤",
    (Age.SAME, Age.NEWER): " ≥",
    (Age.OLDER, Age.SAME, Age.NEWER): "",
}


def draw() -> str:
    return picture(WIDTH, HEIGHT, "The states of a member and what becomes of a claim about it", _elements())


def moves() -> dict[Edge, list[str]]:
    """Which claims move another member from one state to another, as the table has it."""
    found: dict[Edge, list[str]] = {}
    for standing, row in TABLE.items():
        if standing in OURS:
            continue
        start = Standing.DEAD if standing is Standing.LONG_DEAD else standing
        for says, cell in row.items():
            if says in (Says.OUR_ALIVE, Says.OUR_LEFT):
                continue
            for state, sign in _by_state(cell):
                words = f"{_head(says)}{sign}"
                known = found.setdefault((start, STANDINGS[state]), [])
                if words not in known:
                    known.append(f"{words} (long dead)" if standing is Standing.LONG_DEAD else words)
    return found


def _elements() -> Iterator[str]:
    yield text((24, 32), "Another member", "head")
    yield text((24, 54), "> the claim's incarnation is newer than the one known", "small faint")
    yield text((24, 70), "≥ it is the same or newer; without a sign: any", "small faint")
    for (start, end), words in moves().items():
        path, where, anchor = EDGES[start, end]
        yield arrow(path)
        yield from lines(where, words, "small", anchor=anchor, height=14)
    for standing, where in OTHERS.items():
        yield from box(where, *BOX, standing.value)
    yield from lines(
        (24, 412),
        (
            "Every other claim moves nothing.",
            "A suspicion whose time is over is a “dead” of our own.",
            "Who is dead or left is forgotten after a while: unknown.",
        ),
        "small faint",
    )
    yield from _table(478)


def _table(top: int) -> Iterator[str]:
    left, column, line = 150, 100, 15
    yield text((24, top), "What is known of it, and what is claimed", "head")
    for number, says in enumerate(COLUMNS):
        yield text((left + number * column, top + 26), _head(says), "small head")
    y = top + 36
    for standing, row in TABLE.items():
        cells = [_cell(row, says) for says in COLUMNS]
        height = line * max(map(len, cells)) + 9
        if standing in OURS:
            yield band(16, y, WIDTH - 32, height)
        yield rule((16, y), (WIDTH - 16, y))
        yield text((24, y + 17), standing.value, "small head")
        for number, cell in enumerate(cells):
            for words, kind, nth in cell:
                yield text((left + number * column, y + 17 + nth * line), words, f"small {kind}")
        y += height
    yield rule((16, y), (WIDTH - 16, y))


def _cell(row: Row, says: Says) -> list[tuple[str, str, int]]:
    """Its lines: words, colour and number."""
    if says not in row:
        return [("", "", 0)]
    verdicts = row[says]
    kept = [verdict for verdict in dict.fromkeys(verdicts) if verdict is not Verdict.IGNORE]
    if not kept:
        return [("·", "faint", 0)]
    return [
        (f"{_sign(verdicts, verdict).strip()} {verdict.value}".strip(), _colour(verdict), number)
        for number, verdict in enumerate(kept)
    ]


def _colour(verdict: Verdict) -> str:
    match verdict.state:
        case State.ALIVE:
            return "good"
        case State.DEAD | State.LEFT:
            return "bad"
        case _:
            return ""


def _by_state(cell: tuple[Verdict, Verdict, Verdict]) -> list[tuple[State, str]]:
    states = [verdict.state for verdict in cell]
    return [
        (state, SIGNS[tuple(age for age in Age if states[age] is state)])
        for state in dict.fromkeys(states)
        if state is not None
    ]


def _sign(cell: tuple[Verdict, Verdict, Verdict], verdict: Verdict) -> str:
    return SIGNS[tuple(age for age in Age if cell[age] is verdict)]


def _head(says: Says) -> str:
    return HEADS.get(says, says.value)
