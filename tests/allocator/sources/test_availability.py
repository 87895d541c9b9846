"""When a source may be asked: one that failed is left alone, one that is empty isn't asked for the same."""

from __future__ import annotations

import pytest

from allocator.sources.availability import EXHAUSTED, Availability, Kind
from allocator.sources.source import SourceError
from purelb.addresses import Family

V4: Kind = (Family.IPV4,), False, ()
V6: Kind = (Family.IPV6,), False, ()


def test_the_pause_after_an_outage_doubles_up_to_thirty_seconds_and_everybody_hears_why() -> None:
    one, now, pauses = Availability(), 100.0, []
    for _ in range(9):
        one.failed(SourceError("down"), V4, now)
        pauses.append(one.asked_again - now)
        with pytest.raises(SourceError, match="down") as caught:
            one.check(V6, one.asked_again - 0.1)
        assert caught.value.retry_after == pytest.approx(0.1)
        now = one.asked_again
        one.check(V6, now)

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_several_who_failed_at_once_count_as_one() -> None:
    one = Availability()
    for _ in range(8):
        one.failed(SourceError("down"), V4, 100.0)

    assert one.asked_again == 100.5


def test_retry_after_wins_over_a_shorter_pause() -> None:
    one = Availability()
    one.failed(SourceError("busy", retry_after=17.0), V4, 100.0)

    assert one.asked_again == 117.0


def test_a_source_that_answers_again_starts_anew() -> None:
    one = Availability()
    one.failed(SourceError("down"), V4, 100.0)

    assert one.recovered()
    assert not one.recovered()
    one.check(V4, 100.0)
    one.failed(SourceError("down"), V4, 100.0)
    assert one.asked_again == 100.5


def test_an_empty_source_is_asked_for_something_else_and_for_the_same_once_it_has_room() -> None:
    one = Availability()
    one.failed(SourceError("nothing left", kind="exhausted"), V4, 100.0)

    one.check(V6, 100.0)
    with pytest.raises(SourceError, match="nothing left") as caught:
        one.check(V4, 100.0)
    assert (caught.value.kind, caught.value.retry_after) == ("exhausted", EXHAUSTED)
    one.check(V4, 100.0 + EXHAUSTED)
    one.has_room()
    one.check(V4, 100.0)


def test_a_refusal_concerns_nobody_else() -> None:
    one = Availability()
    one.failed(SourceError("not you", kind="refused"), V4, 100.0)

    one.check(V4, 100.0)


def test_a_source_in_trouble_is_tried_by_one_at_a_time() -> None:
    one = Availability()
    one.failed(SourceError("down"), V4, 100.0)
    with one.trying(V4, 101.0), pytest.raises(SourceError, match="down"), one.trying(V4, 101.0):
        pytest.fail("not while another tries")

    one.recovered()
    with one.trying(V4, 101.0), one.trying(V4, 101.0):
        pass


def test_a_survey_is_due_soon_while_addresses_come_and_go_but_never_most_of_the_time() -> None:
    one = Availability()
    assert one.begin_survey(100.0)
    assert not one.begin_survey(200.0), "one at a time"
    one.end_survey(101.0, is_complete=True)
    assert not one.begin_survey(129.0)
    assert one.begin_survey(130.0)
    one.end_survey(130.1, is_complete=False)
    assert not one.begin_survey(132.0)
    assert one.begin_survey(133.0)
    one.end_survey(153.0, is_complete=False)
    assert not one.begin_survey(320.0), "20 s of work in 200"
    assert one.begin_survey(333.0)
