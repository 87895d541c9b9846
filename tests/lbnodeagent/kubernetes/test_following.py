"""When an agent knows what is wanted."""

from __future__ import annotations

from lbnodeagent.kubernetes.following import Learned, OfAgents, OfGroups, OfServices, OfSlices
from purelb.ordering import Deleted, ObjectKey, Replaced


def test_everything_is_known_when_every_list_was_heard_and_not_before() -> None:
    learned = Learned()
    for heard in (OfGroups(Replaced({}, "1", 0)), OfAgents(Replaced({}, "1", 0))):
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
    ):
        learned.heard(heard)
    assert not learned.is_all(needs_slices=True)

    learned.heard(OfSlices(Replaced({}, "1", 0)))
    assert learned.is_all(needs_slices=True)
