"""``events [[NAMESPACE/]SERVICE]``: moves, conflicts and what else PureLB's programs said, as a timeline. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Final

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.happenings import Event
from kubectl_purelb.timeline import Happening, Kind, timeline
from purelb.services import ServiceKey

COLUMNS: Final = ("TIME", "WHAT", "ABOUT", "TOLD")
_TONES: Final = {
    Kind.MOVED: Tone.DOUBTFUL,
    Kind.ANNOUNCED: Tone.GOOD,
    Kind.CONFLICT: Tone.BAD,
    Kind.WARNING: Tone.BAD,
    Kind.TOLD: Tone.FAINT,
}


def events(
    all_events: Iterable[Event], service: ServiceKey | None = None, since: datetime.datetime | None = None
) -> Answer:
    """``service``: of that one alone; ``since``: from then on."""
    chosen = [event for event in all_events if service is None or _is_about(event, service)]
    found = timeline(chosen, since)
    table = Table(COLUMNS, tuple(map(_row, found)), "nothing is known to have happened: events are kept for an hour")
    return Answer((table,), [entry(one) for one in found])


def _is_about(event: Event, service: ServiceKey) -> bool:
    return (event.kind, event.namespace, event.name) == ("Service", service.namespace, service.name)


def _row(one: Happening) -> tuple[Cell, ...]:
    times = f" (x{one.times})" if one.times > 1 else ""
    return f"{one.at:%Y-%m-%d %H:%M:%S}", Text(one.kind.value, _TONES[one.kind]), one.about, one.told + times


def entry(one: Happening) -> dict[str, object]:
    """As programs read it."""
    return {
        "time": one.at.isoformat(),
        "what": one.kind.value,
        "about": one.about,
        "reason": one.reason,
        "told": one.told,
        "times": one.times,
        "address": one.address or None,
        "from": one.before or None,
        "to": one.node or None,
    }
