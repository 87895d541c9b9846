"""What the demo says when it has ended."""

from __future__ import annotations

import pytest

from lab.__main__ import _parser
from lab.demo.play import now_try


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("ecmp", [True, False])
def test_what_it_says_to_try_fits_eighty_columns_and_is_a_command(is_there: bool, ecmp: bool) -> None:
    lines = now_try(is_there=is_there, ecmp=ecmp)

    assert max(map(len, lines)) <= 80
    for line in lines[2:]:
        program, *words = line.split("   ")[0].split()
        assert program in ("make", "export", "kubectl", "purelb-lab")
        if program == "purelb-lab":
            _parser().parse_args(words)


def test_after_a_demo_that_ended_its_lab_nothing_is_named_that_needs_one() -> None:
    assert "purelb-lab" not in "".join(now_try(is_there=False, ecmp=False))
