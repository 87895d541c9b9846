"""Programs that a release needs, run so that what they make doesn't depend on who runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType


class ReleaseFailed(Exception):
    """A program failed; its last words are in the sentence."""


def run(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] = MappingProxyType({}), given: str = ""
) -> str:
    """What a program prints. Raises ReleaseFailed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        umask=0o022,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise ReleaseFailed(f"{' '.join(map(str, command[:4]))} ended with code {done.returncode}: {' / '.join(words)}")
    return done.stdout
