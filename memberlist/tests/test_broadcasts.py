"""The queue of rumours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memberlist.broadcasts import APPLICATION_MAX, Broadcasts, retransmit_limit


@pytest.mark.parametrize(("members", "limit"), [(1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)])
def test_a_rumour_is_told_more_often_in_larger_clusters(members: int, limit: int) -> None:
    assert retransmit_limit(4, members) == limit


def test_a_rumour_is_told_so_often_and_then_forgotten() -> None:
    queue = Broadcasts(4)
    rumour = queue.about("n1", b"news")

    told = [queue.fill(2, 1400, 5) for _ in range(5)]

    assert told == [[b"news"]] * 4 + [[]]
    assert rumour.finished
    assert len(queue) == 0


def test_newer_word_on_a_member_replaces_the_older() -> None:
    queue = Broadcasts(4)
    old = queue.about("n1", b"suspect")

    queue.about("n1", b"alive")

    assert old.finished
    assert queue.fill(2, 1400, 5) == [b"alive"]


def test_the_least_told_go_first_then_the_longest_then_the_newest() -> None:
    queue = Broadcasts(4)
    queue.about("a", b"told before")
    queue.fill(2, 1400, 5)
    queue.about("b", b"x")
    queue.about("c", b"longest")
    queue.about("d", b"y")

    assert queue.fill(2, 1400, 5) == [b"longest", b"y", b"x", b"told before"]


def test_what_fits_no_packet_is_finished_at_once_and_replaces_what_was_known() -> None:
    queue = Broadcasts(4, largest=10)
    queue.about("a", b"alive")

    rumour = queue.about("a", bytes(11))

    assert rumour.finished
    assert len(queue) == 0


def test_what_only_goes_along_is_not_counted() -> None:
    queue = Broadcasts(1)
    queue.about("a", b"news")

    assert [queue.fill(2, 1400, 5, counts=False) for _ in range(9)] == [[b"news"]] * 9
    assert queue.fill(2, 1400, 5) == [b"news"]
    assert queue.fill(2, 1400, 5, counts=False) == []


def test_what_does_not_fit_waits_and_smaller_ones_go() -> None:
    queue = Broadcasts(4)
    queue.about("a", bytes(100))
    queue.about("b", bytes(50))

    assert queue.fill(2, 60, 5) == [bytes(50)]
    assert len(queue) == 2


def test_messages_of_the_application_come_after_news_of_members_and_are_all_kept() -> None:
    queue = Broadcasts(4)
    queue.application(b"\x08first")
    queue.application(b"\x08again")
    queue.about("n1", b"n")

    assert queue.fill(2, 1400, 5) == [b"n", b"\x08again", b"\x08first"]
    assert queue.fill(2, 3, 5) == [b"n"]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.binary(min_size=1, max_size=200)), max_size=30),
    st.integers(0, 600),
    st.integers(0, 30),
)
def test_a_packet_is_never_overfilled(news: list[tuple[int, bytes]], budget: int, overhead: int) -> None:
    queue = Broadcasts(1)
    for subject, data in news:
        queue.about(str(subject), data)

    taken = queue.fill(overhead, budget, 1)

    assert sum(overhead + len(data) for data in taken) <= budget
    assert len(queue) + len(taken) == len({subject for subject, _ in news}), "each is either told or still there"


def test_a_fill_has_at_most_so_many_messages_and_the_rest_waits() -> None:
    queue = Broadcasts(1)
    for number in range(3):
        queue.about(str(number), b"m")
        queue.application(b"a")

    assert queue.fill(2, 1400, 5, most=4) == [b"m"] * 3 + [b"a"]
    assert queue.fill(2, 1400, 5, most=4) == [b"a"] * 2


def test_the_applications_queue_is_bounded_and_what_was_sent_most_goes_first() -> None:
    queue = Broadcasts(4)
    queue.application(b"told")
    queue.fill(2, 1400, 5)
    for number in range(APPLICATION_MAX):
        queue.application(b"%05d" % number)

    assert len(queue) == APPLICATION_MAX
    waiting = {message for _ in range(5 * 4 * APPLICATION_MAX // 50) for message in queue.fill(2, 1400, 5)}
    assert b"told" not in waiting
    assert b"00000" in waiting
