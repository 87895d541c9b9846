"""`kubectl purelb election`: the agents' own rule, now and after what might happen."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from clusters import Json, cluster, group, member, membership, service
from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.commands.election import election
from kubectl_purelb.forecast import Event
from purelb import election as rule
from purelb.addresses import IPAddress
from purelb.errors import SettingsError
from purelb.services import ServiceKey

NODES = ("w11", "w12", "w13")
THREE = membership(*map(member, NODES))
ADDRESSES: tuple[IPAddress, ...] = tuple(ip_address(f"10.31.188.{number}") for number in range(64, 84))
MANY = [service(f"web-{address}", str(address)) for address in ADDRESSES]
KEY = ServiceKey("default", "web")


def elected(*services: Json, endpoints: Mapping[ServiceKey, frozenset[str]] | None = None, **more: Any) -> Answer:
    node, event = more.pop("node", ""), more.pop("event", None)
    known = cluster(*services, **{"members": THREE, **more})
    return election(known, lambda key: (endpoints or {}).get(key, frozenset()), node=node, event=event)


def document(answer: Answer) -> Any:
    return answer.document


def owners(answer: Answer) -> dict[str, str]:
    return {entry["address"]: entry["owner"] for entry in document(answer)}


def planned(plan: str, **more: Any) -> Json:
    return service("web", str(ADDRESSES[0]), annotations={"purelb.io/placement": f"{ADDRESSES[0]}={plan}"}, **more)


def test_without_plans_owners_are_those_of_the_hash_rule_and_the_next_in_its_order() -> None:
    for entry, address in zip(document(elected(*MANY)), ADDRESSES, strict=True):
        first, second, _ = rule.ranking(NODES, address)
        assert (entry["owner"], entry["next"], entry["by"]) == (first, second, "hash")


def test_a_plan_decides_where_all_read_plans_and_nowhere_else() -> None:
    worst = rule.ranking(NODES, ADDRESSES[0])[-1]
    (entry,) = document(elected(planned(worst)))
    assert (entry["owner"], entry["by"]) == (worst, "plan")

    mixed = membership(*map(member, NODES), member("old", agent="Other", subnets=[], version=""))
    assert owners(elected(planned(worst), members=mixed)) != {str(ADDRESSES[0]): worst}


@pytest.mark.parametrize("event", Event)
def test_a_death_and_a_drain_move_that_nodes_addresses_alone(event: Event) -> None:
    before = owners(elected(*MANY))
    answer = elected(*MANY, node="w11", event=event)
    moves = {entry["address"]: entry["next"] for entry in document(answer)["moves"]}

    assert answer.is_well
    assert moves.keys() == {address for address, owner in before.items() if owner == "w11"}
    assert set(moves.values()) <= {"w12", "w13"}


def test_what_is_drained_keeps_what_nobody_else_can_have_and_who_dies_takes_it_along() -> None:
    alone = membership(member("w11"), member("w12", "10.7.0.0/16"))
    seen = service("web", str(ADDRESSES[0]))

    assert document(elected(seen, members=alone, node="w11", event=Event.DRAIN))["moves"] == []
    answer = elected(seen, members=alone, node="w11", event=Event.DEATH)
    assert not answer.is_well
    line, table = answer.parts
    assert isinstance(line, Text)
    assert isinstance(table, Table)
    assert line.text == "if w11 dies, 1 of 1 addresses move; 1 would be nowhere"
    assert table.rows[0][3] == Text("nowhere", Tone.BAD)


def test_worse_nodes_have_only_what_no_better_one_can() -> None:
    failing = membership(member("w11", standing="Failing"), member("w12", standing="Excluded"), member("w13"))
    assert set(owners(elected(*MANY, members=failing)).values()) == {"w13"}

    away = membership(member("w11", standing="Starting"), member("w12", standing="Leaving"))
    answer = elected(*MANY, members=away)
    assert not answer.is_well
    assert set(owners(answer).values()) == {None}


@pytest.mark.parametrize("standing", ["Starting", "Leaving", "Failing", "Excluded"])
def test_a_drain_makes_no_candidate_of_a_node_that_is_none_and_none_better_than_it_is(standing: str) -> None:
    nodes = membership(member("w11", standing=standing), member("w12"))

    assert document(elected(*MANY, members=nodes, node="w11", event=Event.DRAIN))["moves"] == []
    alone = membership(member("w11", standing=standing))
    assert document(elected(*MANY, members=alone, node="w11", event=Event.DRAIN))["moves"] == []


def test_selectors_and_endpoints_confine() -> None:
    choosy = group(nodes=["w12"])
    choosy["spec"]["nodeSelector"] = {"matchLabels": {"rack": "a"}}
    assert set(owners(elected(*MANY, groups=[choosy])).values()) == {"w12"}

    local = service("web", str(ADDRESSES[0]), externalTrafficPolicy="Local")
    assert owners(elected(local, endpoints={KEY: frozenset({"w13"})})) == {str(ADDRESSES[0]): "w13"}


def test_it_can_be_of_some_services_alone() -> None:
    known, first = cluster(*MANY, members=THREE), {ServiceKey("default", f"web-{ADDRESSES[0]}")}

    assert owners(election(known, lambda _: frozenset(), first)).keys() == {str(ADDRESSES[0])}
    assert owners(election(known, lambda _: frozenset(), frozenset())) == {}


def test_routed_addresses_are_not_elected() -> None:
    answer = elected(service("far", "10.189.0.1"))

    assert document(answer) == []


def test_what_cannot_be_told_is_said() -> None:
    with pytest.raises(SettingsError, match="no agent says"):
        elected(members=None)
    with pytest.raises(SettingsError, match='"w99" is none of the nodes that take part: w11, w12, w13'):
        elected(node="w99", event=Event.DEATH)
