"""``nodes``: who takes part, as the gossip sees them and their spokesman wrote it. Pure."""

from __future__ import annotations

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from purelb.membership import MemberNode, Standing

COLUMNS = ("NAME", "STANDING", "VIPS", "WEIGHT", "SUBNETS", "BEHIND", "VERSION", "REASON")
_TONES = {Standing.SERVING: Tone.GOOD, Standing.FAILING: Tone.BAD}


def nodes(cluster: Cluster) -> Answer:
    """One row for each node that takes part; one that died is none."""
    gathering = cluster.gathering
    known = tuple(gathering.nodes.values()) if gathering is not None else ()
    table = Table(COLUMNS, tuple(map(_row, known)), "no agent says which nodes take part: see kubectl purelb status")
    is_well = bool(known) and all(node.standing is not Standing.FAILING and not node.is_behind for node in known)
    return Answer((table,), [_entry(node) for node in known], is_well)


def _subnets(node: MemberNode) -> list[str]:
    return [str(subnet) for subnet in sorted(node.subnets, key=lambda one: (one.version, one))]


def _row(node: MemberNode) -> tuple[Cell, ...]:
    return (
        node.name,
        Text(node.standing.value, _TONES.get(node.standing, Tone.DOUBTFUL)),
        str(node.vips),
        str(node.weight),
        ",".join(_subnets(node)) or "-",
        Text("yes", Tone.BAD) if node.is_behind else "no",
        node.version or ("-" if node.speaks else "not ours"),
        node.reason,
    )


def _entry(node: MemberNode) -> dict[str, object]:
    return {
        "name": node.name,
        "standing": node.standing.value,
        "reason": node.reason,
        "vips": node.vips,
        "weight": node.weight,
        "subnets": _subnets(node),
        "behind": node.is_behind,
        "version": node.version,
        "readsPlacements": node.speaks,
    }
