"""``inspect [NS/]SVC``: one Service from its pool to the wire, and what to do where it doesn't go on. Pure."""

from __future__ import annotations

from typing import Final

from kubectl_purelb.answers import Answer, Text, Tone
from kubectl_purelb.inspection.case import Case, Mark, Step
from kubectl_purelb.inspection.way import steps

_SIGNS: Final = {Mark.DONE: "✓", Mark.DOUBTFUL: "!", Mark.FAILED: "✗"}
_TONES: Final = {Mark.DONE: Tone.GOOD, Mark.DOUBTFUL: Tone.DOUBTFUL, Mark.FAILED: Tone.BAD}
WELL: Final = (
    "Nothing to do: as far as the cluster knows, it answers. If it doesn't, look from a client: arping and ip neigh on "
    "its subnet, ip route elsewhere"
)


def inspect(case: Case) -> Answer:
    """A line for each step, and what to do."""
    taken = steps(case)
    is_well = all(step.mark is not Mark.FAILED for step in taken)
    remedies = [step.remedy for step in taken if step.remedy and (is_well or step.mark is Mark.FAILED)]
    todo = [Text(f"What to do: {remedy}") for remedy in remedies] or [Text(WELL)]
    lines = [Text(f"Service {case.service.key}"), *map(_line, taken), Text(""), *todo]
    document = {
        "service": str(case.service.key),
        "well": is_well,
        "steps": [{"step": one.name, "mark": one.mark.value, "told": one.told, "remedy": one.remedy} for one in taken],
    }
    return Answer(tuple(lines), document, is_well)


def _line(step: Step) -> Text:
    return Text(f"  {_SIGNS[step.mark]} {step.name}: {step.told}", _TONES[step.mark])
