"""`purelb-allocator`, started wrongly."""

from __future__ import annotations

import subprocess
import sys


def test_it_says_in_one_line_what_is_wrong_with_its_settings() -> None:
    command = [sys.executable, "-m", "allocator", "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PURELB_ALLOCATOR_NONE": "1"}, timeout=60
    )

    assert done.returncode == 1
    assert done.stderr.startswith("purelb-allocator: ")
    assert len(done.stderr.splitlines()) == 1
