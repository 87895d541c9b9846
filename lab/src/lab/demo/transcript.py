"""The readable record of a walkthrough: headings, commands, what they printed, ticks and crosses.

Owns how it looks and how many expectations failed; must not run anything.
"""

from __future__ import annotations

import sys
from typing import TextIO

_BOLD, _DIM, _GREEN, _RED, _RESET = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"


class Transcript:
    """Writes to `stream`, coloured if that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colours = self._stream.isatty()
        self.ticks = 0
        self.crosses: list[str] = []

    def heading(self, text: str) -> None:
        self._write("")
        self._write(self._paint(_BOLD, f"## {text}"))

    def say(self, text: str) -> None:
        self._write(text)

    def command(self, where: str, command: str, output: str) -> None:
        """One command as typed, and what it printed."""
        prompt = f"[{where}]$ " if where else "$ "
        self._write(self._paint(_DIM, prompt) + command)
        for line in output.rstrip().splitlines():
            self._write(f"    {line}".rstrip())

    def expect(self, holds: bool, expectation: str, instead: str = "") -> None:
        """A tick, or a cross with what was seen instead."""
        if holds:
            self.ticks += 1
            self._write(f"  {self._paint(_GREEN, '✓')} {expectation}")
            return
        self.crosses.append(expectation)
        tail = f"; instead: {instead}" if instead else ""
        self._write(f"  {self._paint(_RED, '✗')} {expectation}{tail}")

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
