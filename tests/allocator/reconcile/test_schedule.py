"""Which Service is looked at next."""

from __future__ import annotations

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.schedule import AFTER_CONFLICT, Schedule
from tests.allocator.builders import key, service

NOW = 100.0


def schedule_of(*names: str, served: tuple[str, ...] = ()) -> Schedule:
    """A schedule of Services, the first the oldest; those of ``served`` have an address."""
    cache = ServiceCache()
    for age, name in enumerate(reversed(names)):
        cache.seen(service(name, age=age, ingress=["10.1.0.1"] if name in served else []))
    return Schedule(cache)


def taken(schedule: Schedule, now: float = NOW) -> list[str]:
    return [found.name for found in iter(lambda: schedule.take(now), None)]


def test_who_has_no_address_comes_first_and_of_those_the_oldest() -> None:
    schedule = schedule_of("old", "older-new", "middle", "new", served=("old", "middle"))

    schedule.look_at_all()

    assert taken(schedule) == ["older-new", "new", "old", "middle"]


def test_who_is_gone_is_not_looked_at() -> None:
    schedule = schedule_of("a")

    schedule.look_now(key("gone"))
    schedule.look_again(key("gone"), NOW)

    assert taken(schedule) == []


def test_it_is_tried_again_at_once_then_later_and_later_until_it_is_settled() -> None:
    schedule = schedule_of("a")

    schedule.look_again(key("a"), NOW)
    assert taken(schedule) == ["a"]
    schedule.look_again(key("a"), NOW)
    assert taken(schedule) == []
    assert schedule.due == NOW + 0.05
    assert taken(schedule, NOW + 0.05) == ["a"]
    schedule.look_again(key("a"), NOW + 0.05)
    assert taken(schedule, NOW + 0.1) == []
    schedule.settled(key("a"))
    schedule.look_again(key("a"), NOW + 0.1)
    assert taken(schedule, NOW + 0.1) == ["a"]


def test_the_server_s_own_delay_is_obeyed_and_a_conflict_is_another_matter() -> None:
    schedule = schedule_of("a")

    schedule.look_again(key("a"), NOW, at_least=3.0)
    assert taken(schedule, NOW + 2.9) == []
    assert taken(schedule, NOW + 3.0) == ["a"]
    schedule.look_again(key("a"), NOW + 3.0, AFTER_CONFLICT)
    assert taken(schedule, NOW + 3.0) == ["a"]


def test_what_the_server_asks_for_holds_up_news_too_until_it_is_over_or_settled() -> None:
    schedule = schedule_of("a", "b")
    schedule.look_again(key("a"), NOW, at_least=3.0)
    schedule.bar(key("a"), NOW + 3.0)

    schedule.look_at_all()
    assert taken(schedule) == ["b"]
    assert schedule.due == NOW + 3.0
    assert taken(schedule, NOW + 3.0) == ["a"]

    schedule.bar(key("a"), NOW + 9.0)
    schedule.settled(key("a"))
    schedule.look_now(key("a"))
    assert taken(schedule, NOW + 4.0) == ["a"]
