"""Which Service is looked at next."""

from __future__ import annotations

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.schedule import AFTER_CONFLICT, Schedule
from tests.allocator.builders import key, service


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def agenda_of(*names: str, served: tuple[str, ...] = ()) -> tuple[Schedule, Clock, list[None]]:
    """A schedule of Services, the first the oldest; those of ``served`` have an address."""
    cache, clock, retries = ServiceCache(), Clock(), list[None]()
    for age, name in enumerate(reversed(names)):
        cache.seen(service(name, age=age, ingress=["10.1.0.1"] if name in served else []))
    return Schedule(cache, clock, lambda: retries.append(None)), clock, retries


def taken(schedule: Schedule) -> list[str]:
    return [found.name for found in iter(schedule.take, None)]


def test_who_has_no_address_comes_first_and_of_those_the_oldest() -> None:
    schedule, _, _ = agenda_of("old", "older-new", "middle", "new", served=("old", "middle"))

    schedule.look_at_all()

    assert taken(schedule) == ["older-new", "new", "old", "middle"]


def test_who_is_gone_is_not_looked_at() -> None:
    schedule, _, retries = agenda_of("a")

    schedule.look_now(key("gone"))
    schedule.look_again(key("gone"))

    assert taken(schedule) == []
    assert not retries


def test_it_is_tried_again_at_once_then_later_and_later_until_it_is_settled() -> None:
    schedule, clock, retries = agenda_of("a")

    schedule.look_again(key("a"))
    assert taken(schedule) == ["a"]
    schedule.look_again(key("a"))
    assert taken(schedule) == []
    clock.now += 0.05
    assert taken(schedule) == ["a"]
    schedule.look_again(key("a"))
    clock.now += 0.05
    assert taken(schedule) == []
    schedule.settled(key("a"))
    schedule.look_again(key("a"))
    assert taken(schedule) == ["a"]
    assert len(retries) == 4


def test_the_server_s_own_delay_is_obeyed_and_a_conflict_is_another_matter() -> None:
    schedule, clock, _ = agenda_of("a")

    schedule.look_again(key("a"), at_least=3.0)
    clock.now += 2.9
    assert taken(schedule) == []
    clock.now += 0.1
    assert taken(schedule) == ["a"]
    schedule.look_again(key("a"), AFTER_CONFLICT)
    assert taken(schedule) == ["a"]
