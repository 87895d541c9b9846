"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "memberlist" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def execute(block: str) -> str:
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 2


def test_the_first_example_sees_bob_come_and_go() -> None:
    said = execute(BLOCKS[0])

    assert "here is alice" in said
    assert "here is bob rack 7" in said
    assert said.rstrip().endswith("gone is bob")


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_the_other_examples_run(block: str) -> None:
    execute(block)
