"""The page about the doctor has an anchor for each check, and no other; and what it shows is as it is."""

from __future__ import annotations

import re
from pathlib import Path

from kubectl_purelb.diagnosis.catalogue import WHY, page_of
from purelb.checks import REASONS, Check

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "doctor.md").read_text()
REFERENCE = (DOCS / "reference.md").read_text()


def test_each_check_has_its_anchor_and_each_anchor_its_check() -> None:
    anchors = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)

    assert sorted(anchors) == sorted(check.value for check in Check)
    assert {page_of(check).partition("#")[2] for check in Check} == set(anchors)


def test_what_it_shows_is_what_is_printed() -> None:
    shown = PAGE.partition("```\n$ kubectl purelb doctor\n")[2].partition("```")[0]

    assert f"({len(Check)} checks, on 3 nodes)" in shown
    for name in re.findall(r"doctor\.md#(\S+)", shown):
        assert WHY[Check(name)] in shown


def test_each_reason_of_an_event_is_in_the_reference() -> None:
    for reason in REASONS.values():
        assert f"`{reason}`" in REFERENCE
