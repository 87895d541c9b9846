"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def execute(block: str) -> str:
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 2


def test_the_first_example_is_short() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 20


def test_the_first_example_prints_what_the_readme_says() -> None:
    (promised,) = re.findall(r"```text\n(.*?)```", README.read_text(), re.DOTALL)

    said = [line.rstrip() for line in execute(BLOCKS[0]).splitlines()]

    assert said == promised.splitlines()


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_the_other_examples_run(block: str) -> None:
    execute(block)
