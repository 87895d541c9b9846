"""The deadline of a suspicion (Lifeguard, LHA-Suspicion)."""

import pytest

from memberlist.config import Config
from memberlist.suspicion import Suspicion, shortest, timeout, wanted

LAN = Config.lan()


@pytest.mark.parametrize(
    ("members", "least", "most"),
    [(1, 4, 24), (3, 4, 24), (10, 4, 24), (30, 5.908, 35.448), (100, 8, 48), (1000, 12, 72)],
)
def test_the_shortest_time_grows_with_the_logarithm_of_the_cluster(members: int, least: float, most: float) -> None:
    assert shortest(LAN, members) == pytest.approx(least)
    assert shortest(LAN, members) * LAN.suspicion_max_timeout_mult == pytest.approx(most)


@pytest.mark.parametrize(
    ("confirmations", "wanted", "least", "most", "seconds"),
    [
        (0, 0, 4, 24, 4),
        (0, 2, 4, 24, 24),
        (1, 2, 4, 24, 11.381),
        (2, 2, 4, 24, 4),
        (3, 2, 4, 24, 4),
        (0, 4, 6, 36, 36),
        (1, 4, 6, 36, 23.079),
        (2, 4, 6, 36, 15.521),
        (3, 4, 6, 36, 10.159),
        (4, 4, 6, 36, 6),
    ],
)
def test_each_confirmation_shortens_it(
    confirmations: int, wanted: int, least: float, most: float, seconds: float
) -> None:
    assert timeout(confirmations, wanted, least, most) == pytest.approx(seconds, abs=0.0005)


@pytest.mark.parametrize(("members", "confirmations"), [(2, 0), (3, 0), (4, 2), (100, 2)])
def test_a_cluster_too_small_to_confirm_is_not_asked_to(members: int, confirmations: int) -> None:
    assert wanted(LAN, members) == confirmations


def test_only_someone_new_confirms() -> None:
    running = Suspicion(100.0, LAN, 5, "alice", 1)

    assert not running.confirm("alice")
    assert running.confirm("bob")
    assert not running.confirm("bob")
    assert running.deadline == pytest.approx(100 + 11.381, abs=0.001)
    assert running.confirm("carol")
    assert not running.confirm("dave"), "no more are wanted"
    assert running.deadline == pytest.approx(104)


def test_confirmations_count_from_the_start_of_the_suspicion() -> None:
    running = Suspicion(0.0, LAN, 5, "alice", 1)

    running.confirm("bob")
    running.confirm("carol")

    assert running.deadline == pytest.approx(4), "although much more than 4 seconds may have passed by then"


def test_time_in_which_we_could_not_listen_does_not_count() -> None:
    running = Suspicion(0.0, LAN, 5, "alice", 1)

    running.postpone(10)
    running.confirm("bob")
    running.confirm("carol")

    assert running.deadline == pytest.approx(14)
