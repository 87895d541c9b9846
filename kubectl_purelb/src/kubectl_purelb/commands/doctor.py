"""``doctor``: what is wrong around PureLB, why it matters, and the command that mends it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_purelb.answers import Answer, Text, Tone
from kubectl_purelb.diagnosis.catalogue import WHY, page_of
from purelb.checks import Check, Finding


def doctor(found: Sequence[Finding], nodes: int) -> Answer:
    """``nodes``: how many agents' word was heard."""
    heard = f"{len(Check)} checks, on {nodes} nodes" if nodes != 1 else f"{len(Check)} checks, on 1 node"
    if found:
        head = Text(f"{len(found)} {'thing is' if len(found) == 1 else 'things are'} wrong ({heard})", Tone.BAD)
    else:
        head = Text(f"nothing is wrong ({heard})", Tone.GOOD)
    lines = [head]
    for one in found:
        about = f"{one.about}: " if one.about else ""
        lines += [
            Text(""),
            Text(f"✗ {about}{one.what}", Tone.BAD),
            Text(f"  {WHY[one.check]}"),
            *([Text(f"  → {one.remedy}")] if one.remedy else []),
            Text(f"  {page_of(one.check)}", Tone.FAINT),
        ]
    document = {
        "healthy": not found,
        "nodes": nodes,
        "findings": [
            {
                "check": one.check.value,
                "about": one.about,
                "what": one.what,
                "why": WHY[one.check],
                "remedy": one.remedy,
                "page": page_of(one.check),
            }
            for one in found
        ],
    }
    return Answer(tuple(lines), document, is_well=not found)
