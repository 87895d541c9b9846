"""``services``: each address of each Service, with its pool, the node that announces it, and its state. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.places import Place, State, all_places
from purelb.addresses import IPAddress

COLUMNS = ("NAMESPACE", "NAME", "POOL", "ADDRESS", "NODE", "INTERFACE", "STATE", "WHY")
_TONES = {State.ANNOUNCED: Tone.GOOD, State.ROUTED: Tone.GOOD, State.PENDING: Tone.BAD, State.NOWHERE: Tone.BAD}


class Only(NamedTuple):
    """Which of them are asked for; empty: any."""

    pool: str = ""
    node: str = ""
    """That announces it."""
    address: IPAddress | None = None
    troubled: bool = False
    """Only those that aren't well."""

    def has(self, place: Place) -> bool:
        return (
            self.pool in ("", place.group)
            and self.node in ("", place.node)
            and self.address in (None, place.address)
            and not (self.troubled and place.state.is_well)
        )


ALL: Final = Only()


def services(cluster: Cluster, namespace: str | None, only: Only = ALL) -> Answer:
    """``namespace``: of the Services; None: of all."""
    places = tuple(place for place in all_places(cluster, namespace) if only.has(place))
    where = "" if namespace is None else f" in namespace {namespace}"
    nothing = f"no Service of type LoadBalancer is PureLB's{where}" if only == ALL else f"no address is so{where}"
    table = Table(COLUMNS, tuple(map(_row, places)), nothing)
    return Answer((table,), [entry(place) for place in places], is_well=all(place.state.is_well for place in places))


def _row(place: Place) -> tuple[Cell, ...]:
    return (
        place.service.namespace,
        place.service.name,
        place.group or "-",
        str(place.address or "-"),
        place.node or ("(every)" if place.state is State.ROUTED else "-"),
        place.interface or "-",
        Text(place.state.value, _TONES.get(place.state, Tone.DOUBTFUL)),
        Text(place.why, Tone.PLAIN if not place.state.is_well else Tone.FAINT),
    )


def entry(place: Place) -> dict[str, str | None]:
    """A place as programs read it."""
    return {
        "namespace": place.service.namespace,
        "name": place.service.name,
        "pool": place.group,
        "address": str(place.address) if place.address is not None else None,
        "node": place.node or None,
        "interface": place.interface or None,
        "state": place.state.value,
        "why": place.why,
    }
