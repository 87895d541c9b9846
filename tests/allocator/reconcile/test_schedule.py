"""Which Service is looked at next."""

from __future__ import annotations

from allocator.reconcile.cache import Inventory
from allocator.reconcile.schedule import AFTER_CONFLICT, Agenda
from tests.allocator.builders import key, service


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def agenda_of(*names: str, served: tuple[str, ...] = ()) -> tuple[Agenda, Clock, list[None]]:
    """An agenda of Services, the first the oldest; those of ``served`` have an address."""
    inventory, clock, retries = Inventory(), Clock(), list[None]()
    for age, name in enumerate(reversed(names)):
        inventory.seen(service(name, age=age, ingress=["10.1.0.1"] if name in served else []))
    return Agenda(inventory, clock, lambda: retries.append(None)), clock, retries


def taken(agenda: Agenda) -> list[str]:
    return [found.name for found in iter(agenda.take, None)]


def test_who_has_no_address_comes_first_and_of_those_the_oldest() -> None:
    agenda, _, _ = agenda_of("old", "older-new", "middle", "new", served=("old", "middle"))

    agenda.look_at_all()

    assert taken(agenda) == ["older-new", "new", "old", "middle"]


def test_who_is_gone_is_not_looked_at() -> None:
    agenda, _, retries = agenda_of("a")

    agenda.look_now(key("gone"))
    agenda.look_again(key("gone"))

    assert taken(agenda) == []
    assert not retries


def test_it_is_tried_again_at_once_then_later_and_later_until_it_is_settled() -> None:
    agenda, clock, retries = agenda_of("a")

    agenda.look_again(key("a"))
    assert taken(agenda) == ["a"]
    agenda.look_again(key("a"))
    assert taken(agenda) == []
    clock.now += 0.05
    assert taken(agenda) == ["a"]
    agenda.look_again(key("a"))
    clock.now += 0.05
    assert taken(agenda) == []
    agenda.settled(key("a"))
    agenda.look_again(key("a"))
    assert taken(agenda) == ["a"]
    assert len(retries) == 4


def test_the_server_s_own_delay_is_obeyed_and_a_conflict_is_another_matter() -> None:
    agenda, clock, _ = agenda_of("a")

    agenda.look_again(key("a"), at_least=3.0)
    clock.now += 2.9
    assert taken(agenda) == []
    clock.now += 0.1
    assert taken(agenda) == ["a"]
    agenda.look_again(key("a"), AFTER_CONFLICT)
    assert taken(agenda) == ["a"]
