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


def test_in_so_many_columns_all_of_it_fits_and_node_names_are_short() -> None:
    stream = io.StringIO()
    transcript = Transcript(stream, width=40, domain=".k8s.tcinternal")

    transcript.heading("A step whose heading is longer than the terminal is wide")
    transcript.command("", "kubectl get pods --namespace=purelb --output=wide", "runs on worker-1.k8s.tcinternal\n")
    transcript.expect(True, "nginx-lb-service 10.31.188.64, nginx-lb2-service 10.31.188.65")

    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert "    runs on worker-1" in lines
    assert [line for line in lines if line.startswith("  ✓ ")] == ["  ✓ nginx-lb-service 10.31.188.64,"]


def test_step_by_step_it_waits_before_each_heading_but_the_first() -> None:
    stream = io.StringIO()
    transcript = Transcript(stream, pause=lambda: print("waits", file=stream))

    transcript.heading("one")
    transcript.heading("two")

    assert stream.getvalue().splitlines() == ["", "## one", "waits", "", "## two"]


def test_who_wants_no_colours_gets_none() -> None:
    terminal = _Terminal()
    Transcript(terminal, may_colour=False).expect(True, "it works")

    assert terminal.getvalue() == "  ✓ it works\n"


def test_only_a_terminal_gets_colours() -> None:
    assert "\033[" in _written(_Terminal())
    assert "\033[" not in _written(io.StringIO())
