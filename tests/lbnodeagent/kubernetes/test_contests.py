"""Two nodes that believe to own one address don't write over each other for ever."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.kubernetes.contests import GIVE_WAY, OVER, STRIPPED, Contests
from purelb.election import ranking
from purelb.services import ServiceKey
from tests.lbnodeagent.scenes import VIP

WEB = ServiceKey("test", "web")
CHOSEN, OTHER = ranking(("w11", "w12"), VIP)


class Deaf:
    """An agent that announces VIP, doesn't hear its rival, and looks whenever the annotation changes."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.contests = Contests(node)
        self.look_at = 0.0

    def look(self, name: str, now: float) -> str:
        """What the annotation says after this one looked."""
        if name == self.node:
            return name
        self.look_at = self.contests.stands_until(WEB, VIP, name, now)
        if self.look_at > now:
            return name
        self.contests.wrote(WEB, VIP, now)
        return self.node


def war(nodes: tuple[str, ...], seconds: float) -> tuple[list[float], dict[str, float]]:
    """When the annotation was written, and for how long each name stood."""
    agents = [Deaf(node) for node in nodes]
    now, name, writes, stood = 0.0, "", list[float](), dict.fromkeys(nodes, 0.0)
    while now < seconds:
        for agent in agents:
            said = agent.look(name, now)
            if said != name:
                name = said
                writes.append(now)
        later = max(now + 0.01, min((one.look_at for one in agents if one.node != name), default=now + 1.0))
        if name:
            stood[name] += later - now
        now = later
    return writes, stood


def test_two_that_do_not_hear_each_other_stop_writing() -> None:
    writes, stood = war(("w11", "w12"), 3600.0)

    assert len([at for at in writes if at > 10.0]) < 30
    assert stood[CHOSEN] > 0.9 * 3600


def test_five_that_do_not_hear_each_other_stop_writing() -> None:
    nodes = ("w11", "w12", "w13", "w14", "w15")

    writes, stood = war(nodes, 3600.0)

    assert len([at for at in writes if at > 60.0]) < 150
    assert stood[ranking(nodes, VIP)[0]] > 0.7 * 3600


def test_the_name_of_a_dead_node_is_replaced_at_once() -> None:
    assert Contests(OTHER).stands_until(WEB, VIP, CHOSEN, 7.0) == 7.0


def test_a_name_that_stands_is_tried_again_later_for_its_node_may_have_died_since() -> None:
    contests = Contests(OTHER)
    contests.wrote(WEB, VIP, 0.0)

    assert contests.stands_until(WEB, VIP, CHOSEN, 1.0) == 1.0 + GIVE_WAY[0]
    assert contests.stands_until(WEB, VIP, CHOSEN, 30.0) == 1.0 + GIVE_WAY[0]
    contests.wrote(WEB, VIP, 61.0)
    assert contests.stands_until(WEB, VIP, CHOSEN, 62.0) == 62.0 + 2 * GIVE_WAY[0]


def test_an_owner_that_follows_us_by_right_contests_nothing() -> None:
    contests = Contests(OTHER)
    contests.wrote(WEB, VIP, 0.0)
    contests.released(WEB, VIP)

    assert contests.stands_until(WEB, VIP, CHOSEN, 5.0) == 5.0
    assert contests.stands_until(WEB, ip_address("10.31.188.65"), CHOSEN, 5.0) == 5.0


def test_what_was_long_ago_is_forgotten() -> None:
    contests = Contests(OTHER)
    contests.wrote(WEB, VIP, 0.0)
    contests.stands_until(WEB, VIP, CHOSEN, 1.0)
    contests.wrote(WEB, VIP, OVER + 1.0)

    assert contests.stands_until(WEB, VIP, CHOSEN, OVER + 2.0) == OVER + 2.0 + GIVE_WAY[0]


def test_once_the_other_node_is_heard_the_election_decides() -> None:
    contests = Contests(OTHER)
    contests.wrote(WEB, VIP, 0.0)
    contests.stands_until(WEB, VIP, CHOSEN, 1.0)

    assert contests.contested() == {WEB}
    assert contests.stands_until(WEB, VIP, CHOSEN, 1.5, is_heard=True) == 1.5


def test_one_that_is_heard_and_writes_all_the_same_is_answered_ever_more_slowly() -> None:
    """An agent of an earlier version that elects by other rules than ours."""
    contests, pauses = Contests(OTHER), []
    for now in (0.0, 100.0, 200.0, 300.0):
        contests.wrote(WEB, VIP, now)
        pauses.append(contests.stands_until(WEB, VIP, CHOSEN, now, is_heard=True) - now)

    assert pauses == [2.0, 4.0, 8.0, 16.0]


def test_a_name_that_is_taken_away_comes_back_at_once_and_then_ever_more_slowly() -> None:
    contests, pauses, now = Contests(OTHER), [], 0.0
    for _ in range(14):
        contests.wrote(WEB, VIP, now)
        until = contests.stands_until(WEB, VIP, None, now)
        pauses.append(until - now)
        now = until

    assert pauses[:4] == [0.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == STRIPPED[1]


def test_nobodys_name_is_no_contest_before_ours_was_there() -> None:
    assert Contests(OTHER).stands_until(WEB, VIP, None, 7.0) == 7.0
