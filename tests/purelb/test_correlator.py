"""What is kept in mind of events, and for how long."""

from __future__ import annotations

from purelb.correlator import DIFFERENT, REMEMBERED, WINDOW, Similar


def test_what_comes_after_ten_different_messages_is_too_many_until_it_begins_anew() -> None:
    similar = Similar()

    assert not any(similar.is_too_many("web", f"node {number}", 0.0) for number in range(DIFFERENT))
    assert similar.is_too_many("web", "one more", 1.0)
    assert not similar.is_too_many("web", "node 0", 1.0), "that one stands for itself already"
    assert not similar.is_too_many("db", "one more", 1.0)
    assert not similar.is_too_many("web", "one more", WINDOW + 1.0)


def test_objects_of_which_nothing_is_said_any_more_are_forgotten() -> None:
    similar = Similar()
    for second in range(5 * int(WINDOW)):
        similar.is_too_many(f"service-{second}", "assigned", float(second))

    assert similar.remembered <= WINDOW + 1


def test_however_many_come_at_once_only_so_many_are_remembered() -> None:
    similar = Similar()
    for number in range(2 * REMEMBERED):
        similar.is_too_many(number, "assigned", 0.0)

    assert similar.remembered == REMEMBERED
