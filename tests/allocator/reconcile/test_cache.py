"""Services as last seen, and their ranks."""

from __future__ import annotations

import dataclasses

from allocator.reconcile.cache import ServiceCache
from tests.allocator.builders import key, service


def test_what_is_known_is_no_news() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=5, ingress=["10.0.0.1"]))

    assert not cache.seen(service("a", version=5, ingress=["10.0.0.1"]))
    assert cache.seen(service("a", version=6))


def test_history_may_go_back() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=9))

    assert cache.seen(service("a", version=4))
    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.service.resource_version == "4"


def test_a_service_keeps_its_rank_however_often_it_changes() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=5))
    cache.seen(service("b", version=6))
    cache.seen(service("a", version=7))

    ranks = [entry.seniority for entry in sorted(cache, key=lambda entry: entry.seniority)]

    assert [rank.service.name for rank in ranks] == ["a", "b"]
    assert ranks[0].revision == 5


def test_a_service_of_the_same_name_is_another_one() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=5))
    cache.seen(dataclasses.replace(service("a", version=9), uid="second"))

    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.seniority.revision == 9


def test_who_is_forgotten_is_none() -> None:
    cache = ServiceCache()
    cache.seen(service("a"))
    cache.forget(key("a"))
    cache.forget(key("b"))

    assert cache.get(key("a")) is None
    assert cache.keys() == set()


def test_every_change_is_told_by_a_number() -> None:
    cache = ServiceCache()
    numbers = [cache.changes]
    for change in (
        lambda: cache.seen(service("a", version=5)),
        lambda: cache.seen(service("a", version=6)),
        lambda: cache.forget(key("a")),
    ):
        change()
        numbers.append(cache.changes)
    assert len(set(numbers)) == 4

    cache.seen(service("b"))
    before = cache.changes
    cache.seen(service("b"))
    cache.forget(key("c"))
    assert cache.changes == before
