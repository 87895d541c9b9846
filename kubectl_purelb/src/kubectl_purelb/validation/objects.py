"""The objects that are judged together, and what is said of one of them. Values. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb.addresses import IPNetwork
from purelb.names import GROUP

Json: TypeAlias = Mapping[str, Any]

GROUPS: Final = "ServiceGroup"
CONFIGS: Final = "LBNodeAgent"
NODES: Final = "Node"
CIDRS: Final = "ServiceCIDR"
SERVICES: Final = "Service"
SLICES: Final = "EndpointSlice"
KINDS: Final = (GROUPS, CONFIGS, NODES, CIDRS, SERVICES, SLICES)
"""What is looked at; anything else that a file has is passed over."""
OURS: Final = frozenset({GROUPS, CONFIGS})


class Level(enum.Enum):
    """How bad a flaw is."""

    ERROR = "error"
    """It isn't served, or not as it says."""
    WARNING = "warning"
    """It is served, and its author should know."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong with an object."""

    level: Level
    about: str
    told: str
    """A clause."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """What is judged together: bodies by kind, in the order in which they are served."""

    of: Mapping[str, Sequence[Json]]
    subnets: Mapping[IPNetwork, frozenset[str]] | None = None
    """The nodes with a NIC on each, as the agents say; None: nobody has said."""

    def __getitem__(self, kind: str) -> Sequence[Json]:
        return self.of.get(kind, ())


def gathered(
    bodies: Iterable[Json], subnets: Mapping[IPNetwork, frozenset[str]] | None = None, *, over: Iterable[Json] = ()
) -> Objects:
    """Objects by their kinds; those in ``bodies`` take the place of their namesakes ``over`` which they are laid."""
    found: dict[str, dict[tuple[str, str], Json]] = {kind: {} for kind in KINDS}
    for body in (*over, *bodies):
        if (kind := kind_of(body)) is not None:
            found[kind][_key(body)] = body
    return Objects({kind: sorted(of.values(), key=_precedence) for kind, of in found.items()}, subnets)


def kind_of(body: Json) -> str | None:
    """Which of the kinds that are looked at an object is."""
    kind, version = str(body.get("kind") or ""), str(body.get("apiVersion") or "")
    if kind not in KINDS or (kind in OURS) != (version.partition("/")[0] == GROUP):
        return None
    return kind


def metadata_of(body: Json) -> Json:
    """An object's metadata, whatever its author has made of them."""
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def flattened(body: Json) -> Iterator[Json]:
    """An object, or those of a List."""
    if str(body.get("kind") or "").endswith("List") and isinstance(items := body.get("items"), list):
        for item in items:
            if isinstance(item, Mapping):
                yield from flattened(item)
    else:
        yield body


def _key(body: Json) -> tuple[str, str]:
    metadata = metadata_of(body)
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _precedence(body: Json) -> tuple[bool, str, tuple[str, str]]:
    """The senior is served where two clash; what isn't in a cluster yet comes last."""
    created = str(metadata_of(body).get("creationTimestamp") or "")
    return not created, created, _key(body)
