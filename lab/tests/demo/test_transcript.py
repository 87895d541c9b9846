"""The transcript counts what failed and colours a terminal only."""

from __future__ import annotations

import io

from lab.demo.transcript import Transcript


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _written(stream: io.StringIO) -> str:
    transcript = Transcript(stream)
    transcript.heading("A step")
    transcript.command("client", "ip neigh", "one\ntwo\n")
    transcript.expect(True, "it works")
    transcript.expect(False, "it is quick", "slow")
    assert (transcript.ticks, transcript.crosses) == (1, ["it is quick"])
    return stream.getvalue()


def test_a_step_is_its_command_its_output_and_what_was_expected() -> None:
    assert _written(io.StringIO()).splitlines() == [
        "",
        "## A step",
        "[client]$ ip neigh",
        "    one",
        "    two",
        "  ✓ it works",
        "  ✗ it is quick; instead: slow",
    ]


def test_only_a_terminal_gets_colours() -> None:
    assert "\033[" in _written(_Terminal())
    assert "\033[" not in _written(io.StringIO())
