"""News about Services that comes late, twice, or not at all."""

from __future__ import annotations

import dataclasses

from allocator.reconcile.cache import ServiceCache
from tests.allocator.builders import key, service


def test_older_news_changes_nothing() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=5, ingress=["10.0.0.1"]))

    assert not cache.seen(service("a", version=4))
    assert not cache.seen(service("a", version=5))
    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.service.resource_version == "5"


def test_versions_are_compared_as_numbers() -> None:
    cache = ServiceCache()
    cache.seen(service("a", version=9))

    assert cache.seen(service("a", version=10))


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
    second = dataclasses.replace(service("a", version=9), uid="second")
    cache.seen(second)

    assert not cache.gone(service("a", version=8)), "the late news that the first one was deleted"
    entry = cache.get(key("a"))
    assert entry is not None
    assert entry.seniority.revision == 9
    assert cache.gone(dataclasses.replace(second, resource_version="12"))
    assert cache.get(key("a")) is None


def test_the_deletion_of_an_unknown_service_is_no_news() -> None:
    assert not ServiceCache().gone(service("a"))


def test_a_complete_list_tells_who_vanished_but_not_of_who_came_after_it() -> None:
    cache = ServiceCache()
    for name, version in (("stays", 3), ("vanished", 4), ("later", 11)):
        cache.seen(service(name, version=version))

    assert cache.missing_from({key("stays")}, "10") == [key("vanished")]
