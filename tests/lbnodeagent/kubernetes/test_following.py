"""When an agent knows what is wanted."""

from __future__ import annotations

from typing import Any

from lbnodeagent.kubernetes.following import Learned, OfAgents, OfGroups, OfNode, OfServices, OfSlices
from lbnodeagent.kubernetes.nodefeed import OwnNode
from purelb.ordering import Changed, Deleted, ObjectKey, Replaced

NODE = ObjectKey("", "w11")
HERE = Replaced({NODE: OwnNode({}, is_excluded=False)}, "1", 0)


def test_everything_is_known_when_every_list_was_heard_and_not_before() -> None:
    learned = Learned()
    for heard in (OfGroups(Replaced({}, "1", 0)), OfAgents(Replaced({}, "1", 0)), OfNode(HERE)):
        learned.heard(heard)
    assert not learned.is_all(needs_slices=False)

    learned.heard(OfServices(Deleted(ObjectKey("default", "web"), "u1")))
    assert not learned.is_all(needs_slices=False), "a change is no list"

    learned.heard(OfServices(Replaced({}, "1", 0)))
    assert learned.is_all(needs_slices=False)


def test_endpoints_are_waited_for_where_they_matter() -> None:
    learned = Learned()
    for heard in (
        OfServices(Replaced({}, "1", 0)),
        OfGroups(Replaced({}, "1", 0)),
        OfAgents(Replaced({}, "1", 0)),
        OfNode(HERE),
    ):
        learned.heard(heard)
    assert not learned.is_all(needs_slices=True)

    learned.heard(OfSlices(Replaced({}, "1", 0)))
    assert learned.is_all(needs_slices=True)


def test_a_node_that_is_not_registered_yet_is_waited_for() -> None:
    learned = Learned()
    nothing: Replaced[Any] = Replaced({}, "1", 0)
    for heard in (OfServices(nothing), OfGroups(nothing), OfAgents(nothing), OfSlices(nothing), OfNode(nothing)):
        learned.heard(heard)
    assert learned.lacks_node
    assert not learned.is_all(needs_slices=True)

    learned.heard(OfNode(Changed(NODE, OwnNode({}, is_excluded=False))))
    assert learned.is_all(needs_slices=True)
