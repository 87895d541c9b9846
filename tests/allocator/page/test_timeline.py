"""What moved, when, why, and how long it took."""

from __future__ import annotations

from typing import Any

import pytest

from allocator.page.facts import Facts
from allocator.page.places import Places
from allocator.page.pools import Pools
from allocator.page.rows import MoveRow
from allocator.page.timeline import MOST, NAMED, WINDOW, Timeline
from allocator.placement.values import Reason
from purelb.membership import Standing
from purelb.services import ServiceView
from tests.allocator.builders import ip
from tests.allocator.page.scene import facts, member, members, placed


class Watched:
    """A timeline and the moments that it was shown; wall clock time is a million seconds ahead."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.now = 0.0
        self._pools = Pools()
        self._places = Places(default_announcer=True)

    def see(self, *services: ServiceView, after: float = 1.0, **more: Any) -> list[MoveRow]:
        self.now += after
        known: Facts = facts(*services, **more)
        self._pools.see(known.groups)
        places = self._places.see(known, self._pools.served)
        self.timeline.see(places, known.members, known.reasons, self.now, 1e6 + self.now)
        return list(self.timeline.rows().values())


def test_what_is_there_at_the_beginning_and_what_is_new_has_not_moved() -> None:
    watched = Watched()

    assert watched.see(placed("web", "10.1.0.7", "w1")) == []
    assert watched.see(placed("web", "10.1.0.7", "w1"), placed("api", "10.1.0.8")) == []
    assert watched.see(placed("web", "10.1.0.7", "w1"), placed("api", "10.1.0.8", "w2")) == []


def test_a_nodes_death_is_one_entry_with_the_time_that_the_takeover_took() -> None:
    watched = Watched()
    watched.see(*(placed(f"web{n}", f"10.1.0.{n}", "w1") for n in (1, 2, 3)))

    assert watched.see(*(placed(f"web{n}", f"10.1.0.{n}", "w1") for n in (1, 2, 3)), there=("w2", "w3")) == []
    half = (placed("web1", "10.1.0.1", "w2"), placed("web2", "10.1.0.2", "w3"), placed("web3", "10.1.0.3", "w1"))
    watched.see(*half, after=0.2, there=("w2", "w3"))
    whole = (placed("web1", "10.1.0.1", "w2"), placed("web2", "10.1.0.2", "w3"), placed("web3", "10.1.0.3", "w2"))
    (move,) = watched.see(*whole, after=0.3, there=("w2", "w3"))

    assert (move.node, move.cause, move.moved) == ("w1", "gone", 3)
    assert move.to == (("w2", 2), ("w3", 1))
    assert (move.least, move.most) == (0.2, 0.5)
    assert move.at == pytest.approx(1e6 + 2.2)
    assert move.addresses == ("10.1.0.1", "10.1.0.2", "10.1.0.3")


def test_the_news_of_a_death_may_come_after_that_of_the_heir() -> None:
    watched = Watched()
    watched.see(placed("web", "10.1.0.7", "w1", "w1", "w2"))

    (move,) = watched.see(placed("web", "10.1.0.7", "w2", "w1", "w2"))
    assert (move.cause, move.least) == ("unknown", None)
    (move,) = watched.see(placed("web", "10.1.0.7", "w2", "w1", "w2"), there=("w2", "w3"))
    assert (move.cause, move.least) == ("gone", None)


@pytest.mark.parametrize(
    ("standing", "cause"),
    [(Standing.FAILING, "failing"), (Standing.EXCLUDED, "excluded"), (Standing.LEAVING, "leaving")],
)
def test_what_has_become_of_its_node_is_why_an_address_moves(standing: Standing, cause: str) -> None:
    watched = Watched()
    watched.see(placed("web", "10.1.0.7", "w1"))
    others = members("w2", "w3") | {"w1": member("w1", standing, "its kube-proxy doesn't answer")}

    watched.see(placed("web", "10.1.0.7", "w1"), members=others)
    (move,) = watched.see(placed("web", "10.1.0.7", "w2"), after=1.5, members=others)
    assert (move.cause, move.why, move.most) == (cause, "its kube-proxy doesn't answer", 1.5)


@pytest.mark.parametrize(
    ("reason", "cause"), [(Reason.SHARE, "share"), (Reason.PREFERRED, "preferred"), (None, "planned")]
)
def test_a_planned_move_takes_from_the_plan_to_the_new_nodes_word(reason: Reason | None, cause: str) -> None:
    watched = Watched()
    reasons = {} if reason is None else {ip("10.1.0.7"): reason}
    watched.see(placed("web", "10.1.0.7", "w1", "w1", "w2"))

    watched.see(placed("web", "10.1.0.7", "w1", "w2", "w1"), reasons=reasons)
    (move,) = watched.see(placed("web", "10.1.0.7", "w2", "w2", "w1"), after=0.4, reasons=reasons)
    assert (move.cause, move.most) == (cause, 0.4)


def test_what_happens_later_is_another_entry_and_the_newest_is_first() -> None:
    watched = Watched()
    watched.see(placed("web", "10.1.0.7", "w1", "w1"))
    watched.see(placed("web", "10.1.0.7", "w2", "w2"))

    later, earlier = watched.see(placed("web", "10.1.0.7", "w1", "w1"), after=WINDOW + 1)
    assert (earlier.to, later.to) == ((("w2", 1),), (("w1", 1),))


def test_an_address_that_was_nowhere_and_comes_back_to_its_node_has_not_moved() -> None:
    watched = Watched()
    watched.see(placed("web", "10.1.0.7", "w1"))
    watched.see(placed("web", "10.1.0.7"))

    assert watched.see(placed("web", "10.1.0.7", "w1")) == []
    assert watched.see() == []
    assert watched.see(placed("web", "10.1.0.7", "w3")) == [], (
        "another Service's, that has nothing to do with the first"
    )


def test_however_much_moves_little_is_kept() -> None:
    watched = Watched()
    for turn in range(MOST + 5):
        node = f"w{turn % 2 + 1}"
        rows = watched.see(*(placed(f"web{n}", f"10.1.0.{n}", node, node) for n in range(1, 25)), after=WINDOW + 1)

    assert len(rows) == MOST
    assert all(row.moved == 24 and len(row.addresses) == NAMED for row in rows)
