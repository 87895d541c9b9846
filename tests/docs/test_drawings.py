"""The pictures in docs/img show what the code says now."""

import xml.etree.ElementTree as ElementTree

import pytest

from docs.drawings import gap, member_states, takeover
from docs.drawings.__main__ import FOLDER, PICTURES
from memberlist.verdicts import TABLE, Standing, Verdict


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_would_be_drawn_now(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PICTURES[name](), "draw it anew: make drawings"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_well_formed_and_says_what_it_shows(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name]())

    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text


def test_every_move_of_the_table_has_its_arrow_and_no_arrow_is_without_one() -> None:
    assert set(member_states.moves()) == set(member_states.EDGES)


def test_a_verdict_that_changes_shows_in_the_picture() -> None:
    words = member_states.draw()

    for standing in Standing:
        assert standing.value in words
    for verdict in {verdict for row in TABLE.values() for cell in row.values() for verdict in cell} - {Verdict.IGNORE}:
        assert f"{verdict.value}<" in words


def test_the_measured_time_is_the_one_of_the_page_on_failover() -> None:
    median, worst = takeover.MEASURED

    assert f"| {median} / {worst} ms |" in (FOLDER.parent / "failover.md").read_text(encoding="utf-8")


def test_what_the_chart_says_was_measured_is_in_the_pages() -> None:
    pages = {name: (FOLDER.parent / f"{name}.md").read_text(encoding="utf-8") for name in ("failover", "gossip")}
    ours, tuned, plain, serf = (bar for bar in gap.BARS if bar.is_measured)

    assert (
        f"{ours.low * 1000:.0f} / {ours.high * 1000:.0f} ms | keepalived {plain.low * 1000:,.0f}" in pages["failover"]
    )
    assert f" / {plain.high * 1000:,.0f} ms; with adverts each 0.1 s {tuned.low * 1000:.0f}" in pages["failover"]
    assert f" / {tuned.high * 1000:.0f} ms |" in pages["failover"]
    assert f"| serf, LAN profile | {serf.low:.2f} s | {serf.high:.2f} s |" in pages["gossip"]


def test_no_bar_reaches_over_the_end_of_the_chart() -> None:
    assert max(bar.high for bar in gap.BARS) <= gap.MOST
