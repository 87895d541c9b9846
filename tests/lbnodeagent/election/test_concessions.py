"""For how long a VIP is left to a node that takes itself for its owner."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.election.concessions import ASK, PATIENCE, Concessions
from lbnodeagent.gossip.members import Candidate

VIP = ip_address("10.31.188.64")
OTHER = ip_address("10.31.188.65")
W12 = Candidate(frozenset())


def conceded() -> Concessions:
    concessions = Concessions()
    concessions.add(VIP, "w12", W12, 0.0)
    return concessions


def test_the_other_one_is_asked_now_and_then_whether_it_still_has_it() -> None:
    concessions = conceded()

    assert concessions.due(ASK - 0.01) == ({}, set())
    assert concessions.deadline == ASK
    assert concessions.due(ASK) == ({"w12": (VIP,)}, set())
    assert concessions.due(ASK) == ({}, set())


def test_one_that_says_so_no_longer_has_it_no_longer() -> None:
    concessions = conceded()
    concessions.confirm("w12", [VIP, OTHER], 10.0)
    concessions.confirm("m1", [VIP], 12.0)

    assert concessions.due(PATIENCE)[1] == set()
    assert concessions.due(10.0 + PATIENCE) == ({}, {VIP})
    assert concessions.to(VIP) is None
    assert concessions.deadline is None


def test_it_is_over_when_the_election_or_the_candidate_is_another() -> None:
    assert conceded().elected({OTHER}, {"w12": W12}) == set()
    assert conceded().elected({VIP}, {"w12": W12}) == {VIP}
    assert conceded().elected(set(), {}) == {VIP}
    assert conceded().elected(set(), {"w12": Candidate(frozenset(), 1)}) == {VIP}


def test_only_the_one_that_has_it_gives_it_back() -> None:
    concessions = conceded()

    concessions.take_back(VIP, "m1")
    assert concessions.to(VIP) == "w12"

    concessions.take_back(VIP, "w12")
    assert concessions.to(VIP) is None
