"""One of the agents tells what all see, once, and another one if that one goes."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.kubernetes.oncetold import OnceTold
from purelb.election import owner, ranking
from purelb.services import ServiceKey

KEY = ServiceKey("default", "web")
NODES = ("w11", "w12", "w13")
FIRST, SECOND = frozenset({ip_address("10.0.0.1")}), frozenset({ip_address("10.0.0.2")})


def agents() -> dict[str, OnceTold]:
    """That see the same, and each other."""
    found = {node: OnceTold(node) for node in NODES}
    for one in found.values():
        one.members_are(NODES)
        assert one.finds(KEY, FIRST) == FIRST
    return found


def speakers(found: dict[str, OnceTold]) -> list[str]:
    return [node for node, one in found.items() if list(one.take())]


def test_one_of_all_tells_it_once() -> None:
    found = agents()

    assert speakers(found) == [owner(NODES, str(KEY))]
    assert speakers(found) == []
    for one in found.values():
        assert one.finds(KEY, FIRST | SECOND) == SECOND
    assert len(speakers(found)) == 1


def test_the_next_one_tells_it_when_that_one_goes() -> None:
    found = agents()
    first, second, _ = ranking(NODES, str(KEY))
    speakers(found)
    del found[first]
    for one in found.values():
        one.members_are(tuple(found))

    assert speakers(found) == [second]


def test_nothing_is_told_before_the_agents_are_known_nor_of_what_is_over() -> None:
    alone = OnceTold("w11")
    alone.finds(KEY, FIRST)
    assert list(alone.take()) == []

    alone.finds(KEY, frozenset())
    alone.members_are(("w11",))
    assert list(alone.take()) == []
    assert not alone.seen
