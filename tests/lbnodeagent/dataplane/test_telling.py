"""What an agent's data plane tells of itself to whoever debugs it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from lbnodeagent.dataplane.state import State
from lbnodeagent.dataplane.telling import tables
from lbnodeagent.dataplane.turn import take_turn
from lbnodeagent.gossip.meta import Meta, encode_meta
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, HOST, NOW, VIP, link, own, placed, wanted


def told(state: State) -> dict[str, Any]:
    return {table.name: json.loads(json.dumps(list(table.entries()), default=str)) for table in tables(state, NOW)}


def test_of_an_agent_that_has_just_started_there_is_little_to_tell() -> None:
    found = told(State("w11", Version()))

    assert (found["node"][0]["node"], found["node"][0]["isCandidate"]) == ("w11", False)
    assert found["vips"] == found["decisions"] == []
    assert [one["node"] for one in found["members"]] == ["w11"]


def test_of_each_address_it_is_told_who_owns_it_and_where_it_is_and_for_how_long() -> None:
    state = State("w11", Version())
    state.present.set_link(link(ETH0, "eth0"))
    state.present.set_address(own(ETH0, "10.31.188.11/16"))
    state.present.set_address(placed(ETH0, f"{VIP}/16", expires=NOW + 20.0))
    state.wanted.change(VIP, replace(wanted(VIP), plan=("w12", "w11")))
    there = Meta(is_ready=True, reach=frozenset({ip_network("10.31.0.0/16")}), version=Version())
    state.members.joined("w12", encode_meta(there), HOST, NOW)
    state.candidacy.elect(NOW)
    state.members.gone("w13", NOW, for_good=False)
    state.mark_all()
    state.is_configured = True
    for _ in take_turn(state, NOW):
        break

    found = told(state)
    (vip,) = found["vips"]
    assert (vip["owner"], vip["plan"], vip["services"]) == ("w12", ["w12", "w11"], [f"test/service-{VIP}"])
    assert vip["here"] == [{"interface": "eth0", "prefix": 16, "isUsable": True, "expiresIn": 20.0}]
    members = {one["node"]: one for one in found["members"]}
    assert members["w12"]["isCandidate"] is True
    assert {one["timer"] for one in found["timers"]} >= {"Negotiation", "Sweeps", "Gate"}
