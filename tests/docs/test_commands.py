"""Every block of commands in README.md and docs/ is run by a test, or says why not."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import IN_LAB, PAGES, ROOT, blocks

PLACES = ("tests", "lab/tests", "memberlist/tests", "kubedouble/tests", "kubectl_purelb/tests")
BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_says_who_runs_it_or_why_nobody_does(page: str) -> None:
    assert [block.place for block in blocks(page) if block.runs is None] == [], "see tests/docs/commands.py"


def test_the_tests_that_are_said_to_run_them_are_there() -> None:
    files = [file for tests in PLACES for file in (ROOT / tests).rglob("test_*.py")]
    there = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}
    there |= {file.stem for file in files}

    named = {
        name: block.place for block in BLOCKS if block.runs and block.by != IN_LAB for name in block.by.split(", ")
    }
    assert {name: place for name, place in named.items() if name not in there} == {}


def test_who_says_why_not_says_more_than_a_word() -> None:
    assert [block.place for block in BLOCKS if block.runs is False and len(block.by.split()) < 3] == []


def test_a_good_part_of_them_is_run() -> None:
    assert sum(bool(block.runs) for block in BLOCKS) > len(BLOCKS) / 3
