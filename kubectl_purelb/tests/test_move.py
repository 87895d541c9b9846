"""`kubectl purelb move` and `rebalance`: what can be asked for, why something can't, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clusters import Json, cluster, document_of, group, member, membership, service
from kubectl_purelb import errands
from kubectl_purelb.answers import Text
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.commands.move import moved
from kubectl_purelb.commands.rebalance import look, rebalance
from kubectl_purelb.moving import obstacle
from kubectl_purelb.shares import moves_left, shares
from purelb.errors import SettingsError, UnavailableError

VIP = "10.31.188.64"
EVEN: Json = {"metadata": {"name": "default", "namespace": "purelb"}, "spec": {"local": {"placement": "even"}}}
HASH: Json = {"metadata": {"name": "default", "namespace": "purelb"}, "spec": {"local": {}}}
PLAN = {"purelb.io/placement": f"{VIP}=w11,w12"}
SEEN = service("web", VIP, annotations=PLAN)


def why_not(
    seen: Json = SEEN, *others: Json, node: str = "w12", ready: tuple[str, ...] = (), **more: Any
) -> str | None:
    known = cluster(seen, *others, **{"configs": [EVEN], **more})
    return obstacle(known.services[0], node, known, frozenset(ready))


def test_a_planned_address_can_go_to_a_node_that_serves_on_its_subnet() -> None:
    assert why_not() is None
    assert why_not(service("web", VIP, externalTrafficPolicy="Local"), ready=("w12",)) is None


def test_a_groups_own_rule_wins() -> None:
    says_hash, says_even = group(), group()
    says_hash["spec"]["placement"], says_even["spec"]["placement"] = "hash", "even"

    assert "placed by the hash rule" in (why_not(groups=[says_hash]) or "")
    assert why_not(groups=[says_even], configs=[HASH]) is None


CHOOSY = group(nodes=["w11"])
CHOOSY["spec"]["nodeSelector"] = {"matchLabels": {"rack": "a"}}
NOT_SO = {
    "a node that isn't there": ({"node": "w99"}, '"w99" is none of the nodes that take part: w11, w12'),
    "one that fails": (
        {"members": membership(member("w11"), member("w12", standing="Failing", reason="no route"))},
        "w12 doesn't serve: no route",
    ),
    "one that is cordoned": (
        {"members": membership(member("w11"), member("w12", standing="Excluded"))},
        "w12 doesn't serve: excluded",
    ),
    "one that is behind": (
        {"members": membership(member("w11"), member("w12", behind=True))},
        "doesn't hear from the API server",
    ),
    "one of another make": (
        {"members": membership(member("w11"), member("w12", agent="Other"))},
        "is none that follows plans",
    ),
    "one on another subnet": (
        {"members": membership(member("w11"), member("w12", "10.7.0.0/16"))},
        f"w12 has no NIC in the subnet of {VIP}: w11 has",
    ),
    "one that the group's selector leaves out": ({"groups": [CHOOSY]}, "leaves w12 out"),
    "an agent of another make beside it": (
        {"members": membership(member("w11"), member("w12"), member("w13", agent="Other"))},
        "knows the hash rule alone",
    ),
    "the hash rule": ({"configs": [HASH]}, "plan it: kubectl patch lbnodeagent NAME -n purelb"),
    "nobody who says who is there": ({"members": None}, "no agent says which nodes take part"),
    "a Service without an address": ({"seen": service("web")}, "has no address of PureLB's"),
    "a Service that isn't ours": ({"seen": service("web", VIP, type="ClusterIP")}, "isn't PureLB's to serve"),
    "policy Local without an endpoint there": (
        {"seen": service("web", VIP, externalTrafficPolicy="Local"), "ready": ("w11",)},
        "w12 has no ready endpoint of it",
    ),
    "a routed address": (
        {
            "seen": service("web", "10.189.0.1", group="far", node=None),
            "groups": [group("far", "10.189.0.0/24", "10.189.0.0/16", scope="remote")],
        },
        "every node has it, and none is to be chosen",
    ),
}


@pytest.mark.parametrize(("scene", "told"), NOT_SO.values(), ids=NOT_SO.keys())
def test_what_would_stay_a_wish_is_refused_with_the_reason(scene: dict[str, Any], told: str) -> None:
    assert told in (why_not(**scene) or "")


def test_of_services_that_share_an_address_the_first_ones_wish_decides() -> None:
    other = service("api", VIP, annotations={"purelb.io/preferred-nodes": "w11"})

    assert "is shared with default/api" in (why_not(SEEN, other) or "")
    assert why_not(SEEN, service("zoo", VIP, annotations={"purelb.io/preferred-nodes": "w11"})) is None


def lines(answer: Any) -> list[str]:
    return [part.text for part in answer.parts if isinstance(part, Text)]


def test_what_became_of_a_move_is_told() -> None:
    before, after = cluster(SEEN), cluster(service("web", VIP, node="w12"))
    answer = moved(before.services[0], after.services[0], after, "w12", 3.21)

    assert answer.is_well
    assert lines(answer)[0] == f"{VIP}: w11 → w12"
    assert lines(answer)[-1] == "Done after 3.2 s"
    assert document_of(answer)["addresses"] == [{"address": VIP, "from": "w11", "node": "w12"}]


def test_one_that_did_not_come_about_in_time_is_no_success_and_says_what_may_hold_it_up() -> None:
    known = cluster(SEEN)
    answer = moved(known.services[0], known.services[0], known, "w12", 60.0)

    assert not answer.is_well
    assert "kubectl purelb rebalance ends that wait" in lines(answer)[-1]
    assert moved(known.services[0], known.services[0], known, "w12", None).is_well, "nobody waited"


def test_a_wish_that_is_replaced_is_shown() -> None:
    wished = cluster(service("web", VIP, annotations={"purelb.io/preferred-nodes": "rack=a"}))
    (one,) = wished.services

    assert "(instead of rack=a)" in lines(moved(one, one, wished, "w12", None))[-1]
    assert "is taken away (instead of rack=a)" in lines(moved(one, one, wished, "", None))[-1]


def spread(*nodes: str, members: Json | None = None, planned: bool = True) -> Cluster:
    """One planned address on each of these nodes; a node that is named twice has two."""
    bodies = []
    for number, node in enumerate(nodes):
        address = f"10.31.188.{64 + number}"
        said = {"purelb.io/placement": f"{address}={node}"} if planned else {}
        bodies.append(service(f"s{number}", address, node=node, annotations=said))
    return cluster(*bodies, configs=[EVEN], members=members or membership(member("w11"), member("w12"), member("w13")))


@pytest.mark.parametrize(
    ("nodes", "left"),
    [("w11 w12 w13", 0), ("w11 w11 w12", 1), ("w11 w11 w11 w11 w11 w11", 4), ("w11", 0), ("w11 w11 w12 w12", 1)],
)
def test_how_many_have_to_move_is_counted(nodes: str, left: int) -> None:
    assert moves_left(shares(spread(*nodes.split()))) == left


def test_weights_count_and_a_node_that_does_not_serve_should_have_none() -> None:
    heavy = membership(member("w11", weight=2), member("w12"), member("w13", weight=0))
    failing = membership(member("w11"), member("w12"), member("w13", standing="Failing"))

    assert moves_left(shares(spread("w11", "w11", "w12", members=heavy))) == 0
    assert moves_left(shares(spread("w11", "w11", "w13", members=heavy))) == 1
    assert moves_left(shares(spread("w11", "w13", "w13", members=failing))) == 2
    assert moves_left(shares(spread("w11", members=membership(member("w11", weight=0))))) == 0


def test_a_rehearsal_says_how_even_it_is() -> None:
    known = spread("w11", "w11", "w12")
    answer = rebalance(known, known, is_asked=False)

    assert lines(answer) == ["1 address would have to move for all to have their share"]
    assert document_of(answer)["nodes"][0] == {
        "node": "w11", "weight": 1, "addresses": 2, "share": 1.0,
    }  # fmt: skip


def test_what_has_moved_is_told() -> None:
    answer = rebalance(spread("w11", "w11", "w12"), spread("w11", "w13", "w12"), is_asked=True, seconds=11.4)

    assert lines(answer) == ["1 address moved in 11 s: even"]


def test_where_nothing_is_planned_nothing_can_be_evened_out() -> None:
    with pytest.raises(SettingsError, match="no address is planned"):
        look(spread("w11", "w11", planned=False))


@pytest.fixture
def no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "INTERVAL", 0.0)


@pytest.mark.usefixtures("no_interval")
def test_an_api_server_that_is_away_for_a_moment_does_not_end_the_wait() -> None:
    looks = iter([1, None, None, 2])

    async def see() -> int:
        if (seen := next(looks)) is None:
            raise UnavailableError("the API server can't be reached")
        return seen

    assert asyncio.run(errands.until(see, lambda seen: seen == 2, 60.0))[0] == 2


@pytest.mark.usefixtures("no_interval")
def test_one_that_stays_away_is_told() -> None:
    async def see() -> int:
        raise UnavailableError("the API server can't be reached")

    with pytest.raises(UnavailableError):
        asyncio.run(errands.until(see, bool, 0.0))
