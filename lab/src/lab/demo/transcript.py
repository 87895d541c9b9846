"""The readable record of a walkthrough: headings, commands, what they printed, ticks and crosses.

Owns how it looks, where it waits, and how many expectations failed; must not run anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from lab.demo.width import fitted, folded

_BOLD, _DIM, _GREEN, _RED, _RESET = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"


class Transcript:
    """Writes to `stream`; in colours, if that is a terminal whose user likes them (https://no-color.org)."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        width: int | None = None,
        domain: str = "",
        may_colour: bool = True,
        pause: Callable[[], None] | None = None,
    ) -> None:
        """`width` in columns: None leaves lines as they are. `domain` is left out of what commands print. `pause` is
        called before each heading but the first."""
        self._stream = stream or sys.stdout
        self._colours = may_colour and self._stream.isatty()
        self._width = width
        self._domain = domain
        self._pause = pause
        self._headings = 0
        self.ticks = 0
        self.crosses: list[str] = []

    def heading(self, text: str) -> None:
        if self._pause and self._headings:
            self._pause()
        self._headings += 1
        self._write("")
        self._fold(f"## {text}", lambda line: self._paint(_BOLD, line))

    def say(self, text: str) -> None:
        self._fold(text)

    def command(self, where: str, command: str, output: str) -> None:
        """One command as typed, and what it printed."""
        prompt = f"[{where}]$ " if where else "$ "
        first, *rest = self._folded(prompt + command)
        self._write(self._paint(_DIM, prompt) + first.removeprefix(prompt))
        for line in rest:
            self._write(line)
        lines = output.rstrip().splitlines()
        if self._domain:
            lines = [line.replace(self._domain, "") for line in lines]
        for line in fitted(lines, self._width - 4) if self._width else lines:
            self._write(f"    {line}".rstrip())

    def expect(self, holds: bool, expectation: str, instead: str = "") -> None:
        """A tick, or a cross with what was seen instead."""
        if holds:
            self.ticks += 1
            self._fold(f"  ✓ {expectation}", lambda line: line.replace("✓", self._paint(_GREEN, "✓"), 1))
            return
        self.crosses.append(expectation)
        tail = f"; instead: {instead}" if instead else ""
        self._fold(f"  ✗ {expectation}{tail}", lambda line: line.replace("✗", self._paint(_RED, "✗"), 1))

    def _fold(self, text: str, paint: Callable[[str], str] = str) -> None:
        for line in self._folded(text):
            self._write(paint(line))

    def _folded(self, text: str) -> Iterable[str]:
        return folded(text, self._width) if self._width else [text]

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
