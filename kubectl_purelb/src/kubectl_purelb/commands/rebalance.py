"""``rebalance``: how many addresses each node has and should have, and what has moved since it was asked for. Pure."""

from __future__ import annotations

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.shares import Share, moves_left, planned, shares
from purelb.errors import SettingsError

COLUMNS = ("NODE", "WEIGHT", "ADDRESSES", "SHARE")


def look(cluster: Cluster) -> tuple[Share, ...]:
    """What each node has. Raises SettingsError where nothing is planned."""
    if not planned(cluster):
        raise SettingsError(
            "no address is planned: the hash rule decides, or every node has them; placement: even in the LBNodeAgents "
            "or in a ServiceGroup has them planned"
        )
    return shares(cluster)


def rebalance(before: Cluster, after: Cluster, *, is_asked: bool, seconds: float | None = None) -> Answer:
    """``is_asked``: whether the allocator was asked; ``seconds``: that were waited then."""
    found, was = look(after), planned(before)
    left = moves_left(found)
    moved = sum(1 for address, node in planned(after).items() if was.get(address) not in (None, "", node))
    rows = tuple(
        (one.node, str(one.weight) if one.serves else "-", str(one.addresses), f"{one.due:.1f}") for one in found
    )
    document = {
        "asked": is_asked,
        "moved": moved,
        "left": left,
        "seconds": seconds,
        "nodes": [
            {"node": one.node, "weight": one.weight, "addresses": one.addresses, "share": round(one.due, 2)}
            for one in found
        ],
    }
    return Answer((Table(COLUMNS, rows), _told(moved, left, is_asked=is_asked, seconds=seconds)), document)


def _told(moved: int, left: int, *, is_asked: bool, seconds: float | None) -> Text:
    if not is_asked:
        return Text("even" if not left else f"{_addresses(left)} would have to move for all to have their share")
    if seconds is None:
        return Text("asked for: kubectl purelb events shows what moves")
    told = f"{_addresses(moved)} moved in {seconds:.0f} s"
    if not left:
        return Text(f"{told}: even", Tone.GOOD)
    why = "the rest stay, as wishes, subnets or endpoints bind them, or the allocator isn't done"
    return Text(f"{told}; {why}", Tone.DOUBTFUL)


def _addresses(count: int) -> str:
    return f"{count} address{'es' * (count != 1)}"
