"""The moving picture of a recorded terminal: lines come as they were printed, at a reader's pace."""

from __future__ import annotations

import json
import re

import pytest

from docs.drawings.recording import GLANCE, PER_LINE, REST, Recording, animation, draw, frames, read

HEADING = "\x1b[1m## A step\x1b[0m\r\n"


def recording(*output: tuple[float, str]) -> Recording:
    return Recording(80, 4, output)


def test_what_came_in_one_burst_is_one_frame_and_stays_longer_with_more_lines() -> None:
    shown = frames(recording((0.0, "$ ls\r\n"), (0.05, "a\r\nb\r\n"), (1.0, "$ pwd\r\n")))

    assert shown == [(["$ ls", "a", "b"], GLANCE + 3 * PER_LINE), (["$ pwd"], REST)]


def test_a_heading_begins_a_frame_with_the_empty_line_before_it_and_a_tick_ends_one() -> None:
    shown = frames(recording((0.0, "  ✓ good\r\n"), (0.01, "\r\n"), (0.02, HEADING), (0.03, "$ ls\r\n")))

    assert [lines for lines, _ in shown] == [["  ✓ good"], ["", HEADING.strip(), "$ ls"]]


def test_the_screen_has_the_newest_line_at_its_foot() -> None:
    picture = animation(recording((0.0, "one\r\n"), (1.0, "two\r\nthree\r\n")), "a title")

    assert re.findall(r"([\d.]+)% { transform: translateY\((-?\d+)px\)", picture)[0] == ("0.00", "54")
    assert "{ transform: translateY(18px); animation: scroll" in picture
    assert "prefers-reduced-motion" in picture


def test_colours_are_kept_and_what_means_something_to_xml_is_not() -> None:
    picture = animation(recording((0.0, "\x1b[32m✓\x1b[0m a < b\r\n")), "t")

    assert '<tspan class="g">✓</tspan> a &lt; b</text>' in picture
    assert "\x1b" not in picture


def test_another_version_of_the_format_is_refused() -> None:
    with pytest.raises(ValueError, match="v3"):
        read(json.dumps({"version": 3}))


def test_the_demo_that_is_shown_ended_well_and_is_small() -> None:
    picture = draw()

    assert re.search(r">(\d+) of \1 as expected, in \d+ s<", picture)
    assert len(picture) < 60_000
