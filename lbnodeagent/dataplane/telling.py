"""All that a node's data plane knows, for whoever debugs it: tables, owners, timers, decisions. Pure.

Times are seconds from ``now``, which is monotonic: what is past is negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lbnodeagent.dataplane.state import State
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.tables import FOREVER
from purelb.addresses import IPAddress
from purelb.statedump import Table


def tables(state: State, now: float) -> tuple[Table, ...]:
    """All of it."""
    return (
        Table("node", lambda: [told_node(state)]),
        Table("members", lambda: told_members(state)),
        Table("vips", lambda: told_vips(state, now)),
        Table("timers", lambda: told_timers(state, now)),
        Table("decisions", lambda: told_decisions(state, now)),
    )


def told_node(state: State) -> Mapping[str, Any]:
    """This node itself."""
    candidacy, failing = state.candidacy, state.candidacy.failing
    return {
        "node": state.node,
        "config": state.config.name if state.is_configured else None,
        "isCandidate": candidacy.is_candidate,
        "isSynced": candidacy.is_synced,
        "isLeaving": candidacy.is_leaving,
        "isExcluded": candidacy.is_excluded,
        "isBehindApi": candidacy.is_behind,
        "isUnanswered": candidacy.is_unanswered,
        "isDeaf": candidacy.is_deaf,
        "hearsPeers": candidacy.hears_peers,
        "isSpokesman": candidacy.is_spokesman,
        "failing": None if failing is None else failing.value,
        "able": sorted(candidacy.able),
        "best": sorted(candidacy.best),
        "nowhere": state.nowhere.count,
        "vipsToLookAt": state.has_dirty_vips,
    }


def told_members(state: State) -> Iterator[Mapping[str, Any]]:
    """All that take part in the gossip, as this node sees them; of those that failed, the names."""
    members, candidates = state.members, state.members.candidates()
    metas: dict[str, Meta | None] = {members.node: members.own, **members.others}
    for name, meta in sorted(metas.items()):
        candidate = candidates.get(name)
        yield {
            "node": name,
            "rank": None if candidate is None else candidate.rank,
            "isCandidate": candidate is not None,
            "isOurs": meta is not None,
            "reach": [] if meta is None else sorted(map(str, meta.reach)),
            "addresses": [] if meta is None else sorted(map(str, meta.addresses)),
            "weight": None if meta is None else meta.weight,
            "isBehindApi": None if meta is None else meta.is_behind,
        }
    for name in sorted(members.lost):
        yield {"node": name, "isLost": True}


def told_vips(state: State, now: float) -> Iterator[Mapping[str, Any]]:
    """Each VIP that is wanted or here: who owns it by what this node knows, and where it is."""
    vips = {*state.wanted, *(there.address for there in state.present.all_ours())}
    for vip in sorted(vips, key=lambda one: (one.version, one)):
        yield _told_vip(vip, state, now)


def _told_vip(vip: IPAddress, state: State, now: float) -> Mapping[str, Any]:
    wanted, links = state.wanted.table.get(vip), state.present.links
    told: dict[str, Any] = {
        "vip": vip,
        "owner": state.candidacy.owner(vip),
        "isHeld": state.negotiation.holds(vip),
        "isClaimed": state.neighbours.is_claimed(vip),
        "concededTo": state.candidacy.concessions.to(vip),
        "doubtedFor": state.candidacy.doubts.to(vip),
        "here": [
            {
                "interface": links[there.index].name if there.index in links else str(there.index),
                "prefix": there.prefix_length,
                "isUsable": there.is_usable,
                "expiresIn": None if there.expires == FOREVER else round(there.expires - now, 1),
            }
            for there in state.present.ours(vip)
        ],
    }
    if wanted is not None:
        told |= {
            "services": list(map(str, wanted.services)),
            "plan": wanted.plan,
            "endpoints": None if wanted.endpoints is None else sorted(wanted.endpoints),
            "announcers": None if wanted.announcers is None else sorted(wanted.announcers),
            "preferred": None if wanted.preferred is None else sorted(wanted.preferred),
        }
    return told


def told_timers(state: State, now: float) -> Iterator[Mapping[str, Any]]:
    """When each part has something to do next."""
    deadlines = {type(part).__name__: part.deadline for part in state.timed}
    deadlines |= {
        "Sweeps": state.sweeps.deadline,
        "Neighbours": state.neighbours.deadline,
        "RouterGate": state.router.deadline,
    }
    for name, at in deadlines.items():
        yield {"timer": name, "dueIn": None if at is None or math.isinf(at) else round(at - now, 3)}


def told_decisions(state: State, now: float) -> Iterator[Mapping[str, Any]]:
    """The last ones, the oldest first."""
    for one in state.decisions:
        yield {
            "ago": round(now - one.at, 3),
            "vip": one.vip,
            "what": one.what,
            "interface": one.interface,
            "why": one.why,
        }
