"""Who is said to be there."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent import tables
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.changes import Changes
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta, encode_meta
from lbnodeagent.kernel.present import Present
from purelb.version import Version
from tests.lbnodeagent.election.test_candidacy import WIRE
from tests.lbnodeagent.scenes import HOST

READY = Meta(is_ready=True, reach=frozenset({WIRE.network}))


def told(others: dict[str, Meta | None], *, is_excluded: bool = False) -> tables.Members:
    """What the node ``own`` says among ``others``, of which those without a meta are PureLB's own agents."""
    members = Members("own")
    candidacy = Candidacy("own", members, Version())
    candidacy.gossip_started(0.0)
    for name, meta in others.items():
        members.joined(name, encode_meta(meta) if meta is not None else b"", HOST, 0.0)
    candidacy.is_synced, candidacy.is_excluded = True, is_excluded
    candidacy.set_place([WIRE], [], frozenset(), 0.0)
    return Changes("own", members, candidacy, Present()).members()


def test_announcers_are_our_agents_that_are_ready_configured_and_not_excluded() -> None:
    others = {
        "a": READY,
        "b": replace(READY, is_excluded=True),
        "c": Meta(),
        "d": Meta(True, announces=False),
        "purelb": None,
    }

    assert told(others) == tables.Members(
        frozenset({"own", *others}), frozenset({"own", "a"}), frozenset({WIRE.network})
    )


def test_where_all_are_excluded_all_announce() -> None:
    excluded = replace(READY, is_excluded=True)

    assert told({"a": excluded}, is_excluded=True).announcers == {"own", "a"}


def test_nobody_is_known_to_a_node_that_is_no_candidate_yet() -> None:
    members = Members("own")
    candidacy = Candidacy("own", members, Version())

    assert Changes("own", members, candidacy, Present()).members() == tables.Members(frozenset())
