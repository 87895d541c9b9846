"""Who looks at the page, how many may, and what becomes of those who don't keep up."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from allocator.page.clients import BEHIND, MOST, Clients
from allocator.page.metrics import PageMetrics


class Watched:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.clients = Clients(PageMetrics(self.registry))
        self.given_up = 0

    def give_up(self) -> None:
        self.given_up += 1

    def ended(self, reason: str) -> float | None:
        return self.registry.get_sample_value("purelb_allocator_page_clients_ended_total", {"reason": reason})

    @property
    def there(self) -> float | None:
        return self.registry.get_sample_value("purelb_allocator_page_clients")


def test_all_who_look_are_told_in_order() -> None:
    async def run() -> None:
        watched = Watched()
        one, other = watched.clients.admit(watched.give_up), watched.clients.admit(watched.give_up)
        assert one is not None
        assert other is not None

        watched.clients.tell(b"first")
        watched.clients.leave(other, "left")
        watched.clients.tell(b"second")
        assert [await one.next(), await one.next()] == [b"first", b"second"]
        assert await other.next() == b"first"
        assert (watched.there, watched.ended("left"), watched.given_up) == (1, 1, 0)

    asyncio.run(run())


def test_there_are_no_more_than_may_be_and_who_leaves_makes_room() -> None:
    watched = Watched()
    there = [watched.clients.admit(watched.give_up) for _ in range(MOST)]

    assert None not in there
    assert watched.clients.admit(watched.give_up) is None
    assert (watched.there, watched.ended("refused")) == (MOST, 1)
    assert there[0] is not None
    watched.clients.leave(there[0], "left")
    assert watched.clients.admit(watched.give_up) is not None


def test_who_does_not_keep_up_is_given_up_once_and_the_others_are_told_on() -> None:
    async def run() -> None:
        watched = Watched()
        slow, quick = watched.clients.admit(watched.give_up), watched.clients.admit(watched.give_up)
        assert slow is not None
        assert quick is not None

        for number in range(BEHIND + 3):
            watched.clients.tell(b"%d" % number)
            assert await quick.next() == b"%d" % number
        watched.clients.leave(slow, "left")
        assert (watched.given_up, watched.ended("slow"), watched.ended("left"), watched.there) == (1, 1, 0, 1)

    asyncio.run(run())
