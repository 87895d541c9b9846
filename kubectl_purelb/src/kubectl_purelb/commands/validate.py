"""``validate``: what is wrong with a configuration, and whether that is more than a warning. Pure."""

from __future__ import annotations

from typing import Final

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.validation.objects import CONFIGS, GROUPS, NODES, SERVICES, Flaw, Level, Objects
from kubectl_purelb.validation.way import flaws

_SIGNS: Final = {Level.ERROR: "✗", Level.WARNING: "!"}
_TONES: Final = {Level.ERROR: Tone.BAD, Level.WARNING: Tone.DOUBTFUL}
_COUNTED: Final = {GROUPS: "ServiceGroup", CONFIGS: "LBNodeAgent", NODES: "Node", SERVICES: "Service"}


def validate(objects: Objects, *, is_strict: bool) -> Answer:
    """``is_strict``: a warning is as bad as an error."""
    found = flaws(objects)
    errors = sum(flaw.level is Level.ERROR for flaw in found)
    is_well = not (found if is_strict else errors)
    parts: list[Table | Text] = []
    for flaw in found:
        parts.append(Text(f"{_SIGNS[flaw.level]} {flaw.about}: {flaw.told}", _TONES[flaw.level]))
        if flaw.remedy:
            parts.append(Text(f"  → {flaw.remedy}"))
    looked_at = ", ".join(_number(len(objects[kind]), name) for kind, name in _COUNTED.items() if objects[kind])
    head = f"{_number(errors, 'error')}, {_number(len(found) - errors, 'warning')} in {looked_at or 'nothing'}"
    parts.append(Text(head, Tone.GOOD if not found else Tone.BAD if not is_well else Tone.DOUBTFUL))
    document = {
        "valid": is_well,
        "errors": errors,
        "warnings": len(found) - errors,
        "objects": {name: len(objects[kind]) for kind, name in _COUNTED.items()},
        "flaws": [_entry(flaw) for flaw in found],
    }
    return Answer(tuple(parts), document, is_well)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _entry(flaw: Flaw) -> dict[str, str]:
    return {"level": flaw.level.value, "about": flaw.about, "told": flaw.told, "remedy": flaw.remedy}
