"""``election``: who owns each address by the agents' rule, who is next, and what a death or a drain moves. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.forecast import EndpointsOf, Event, Outcome, outcomes, wanted
from purelb.addresses import listed
from purelb.errors import SettingsError
from purelb.services import ServiceKey

COLUMNS = ("ADDRESS", "SERVICE", "OWNER", "NEXT", "BY")
MOVES = ("ADDRESS", "SERVICE", "FROM", "TO")


def election(
    cluster: Cluster,
    endpoints_of: EndpointsOf,
    services: Set[ServiceKey] | None = None,
    node: str = "",
    event: Event | None = None,
) -> Answer:
    """``services``: of their addresses alone, None: of all; ``event``: what is to become of ``node``.

    Raises SettingsError.
    """
    gathering = cluster.gathering
    if gathering is None:
        raise SettingsError("no agent says which nodes take part, so nobody can tell who owns what")
    if event is not None and node not in gathering.nodes:
        raise SettingsError(f'"{node}" is none of the nodes that take part: {listed(sorted(gathering.nodes), 8)}')
    all_wanted = wanted(cluster, gathering, endpoints_of)
    asked = [one for one in all_wanted if services is None or not services.isdisjoint(one.services)]
    found = outcomes(asked, gathering, node, event)
    if event is not None:
        return _moved(found, node, event)
    rows = tuple(_row(outcome) for outcome in found)
    table = Table(COLUMNS, rows, "no address belongs on a NIC: nothing is elected")
    return Answer((table,), [_entry(outcome) for outcome in found], all(one.owner is not None for one in found))


def _moved(found: tuple[Outcome, ...], node: str, event: Event) -> Answer:
    moved = [outcome for outcome in found if outcome.owner != outcome.then]
    lost = sum(outcome.then is None for outcome in moved)
    counts = Counter(outcome.then for outcome in moved if outcome.then is not None)
    where = ", ".join(f"{count} to {name}" for name, count in sorted(counts.items()))
    what = "dies" if event is Event.DEATH else "is drained"
    told = f"if {node} {what}, {len(moved)} of {len(found)} addresses move" + (f": {where}" if where else "")
    told += f"; {lost} would be nowhere" if lost else ""
    rows = tuple((str(one.wanted.address), _services(one), one.owner or "-", _owner(one.then)) for one in moved)
    parts: tuple[Table | Text, ...] = (Text(told, Tone.BAD if lost else Tone.PLAIN),)
    document = {
        "node": node,
        "event": event.value,
        "addresses": len(found),
        "nowhere": lost,
        "moves": [_entry(outcome) for outcome in moved],
    }
    return Answer((*parts, Table(MOVES, rows)) if rows else parts, document, is_well=not lost)


def _owner(name: str | None) -> Cell:
    return name if name is not None else Text("nowhere", Tone.BAD)


def _services(outcome: Outcome) -> str:
    return listed([str(key) for key in outcome.wanted.services], 2)


def _row(outcome: Outcome) -> tuple[Cell, ...]:
    return (
        str(outcome.wanted.address),
        _services(outcome),
        _owner(outcome.owner),
        _owner(outcome.then),
        _rule(outcome),
    )


def _rule(outcome: Outcome) -> str:
    return "plan" if outcome.owner in outcome.wanted.plan else "hash"


def _entry(outcome: Outcome) -> dict[str, object]:
    return {
        "address": str(outcome.wanted.address),
        "services": [str(key) for key in outcome.wanted.services],
        "owner": outcome.owner,
        "next": outcome.then,
        "by": _rule(outcome),
    }
