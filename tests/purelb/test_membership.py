"""The one object that says who is there."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from purelb.checks import Check
from purelb.membership import MemberNode, Standing, membership_status, parse_membership

NODES = {
    "w11": MemberNode(
        "w11", Standing.SERVING, subnets=frozenset({ip_network("10.31.0.0/16")}), version="0.2.0", vips=3
    ),
    "w12": MemberNode("w12", Standing.FAILING, "kube-proxy doesn't answer on port 10256", version="0.2.0", vips=3),
    "w13": MemberNode("w13", Standing.SERVING, is_behind=True, weight=0, found_wrong=frozenset({Check.PROXY_ARP})),
    "old": MemberNode("old", Standing.SERVING, speaks=False),
}


def test_what_was_written_is_read() -> None:
    assert parse_membership({"status": membership_status(NODES, 7)}) == NODES


def test_the_summary_names_those_that_do_not_serve() -> None:
    status = membership_status(NODES, 7)

    assert (status["serving"], status["vips"]) == ("3/4", 7)
    assert status["others"] == "w12: kube-proxy doesn't answer on port 10256"


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {"nodes": None}}, {"status": {"nodes": [{}]}}])
def test_an_object_without_nodes_has_none(body: dict[str, object]) -> None:
    assert parse_membership(body) == {}


def test_an_unknown_standing_does_not_serve() -> None:
    (node,) = parse_membership(
        {"status": {"nodes": [{"name": "w11", "standing": "Dancing", "subnets": ["x"]}]}}
    ).values()

    assert (node.standing, node.subnets) == (Standing.FAILING, frozenset())


def test_a_member_whose_name_can_t_be_a_node_s_is_left_out() -> None:
    stranger = MemberNode("w11\nsudo", Standing.SERVING)

    assert membership_status({stranger.name: stranger}, 0)["nodes"] == []


def test_conditions_say_whether_all_is_well_around_the_nodes_and_which_check_found_what_where() -> None:
    well = {name: node for name, node in NODES.items() if not node.found_wrong}

    (fine,) = membership_status(well, 7, observed="2026-11-29T12:00:00Z")["conditions"]
    assert (fine["type"], fine["status"], fine["lastTransitionTime"]) == ("NodesWell", "True", "2026-11-29T12:00:00Z")

    told = membership_status(NODES, 7, observed="2026-11-29T12:01:00Z", known=[fine])["conditions"]
    assert [(one["type"], one["status"]) for one in told] == [("NodesWell", "False"), ("ProxyARP", "True")]
    assert "proxy-arp on w13" in told[0]["message"]
    assert "found on w13" in told[1]["message"]
    assert {one["lastTransitionTime"] for one in told} == {"2026-11-29T12:01:00Z"}

    again = membership_status(NODES, 7, observed="2026-11-29T12:02:00Z", known=told)["conditions"]
    assert again == told, "a condition keeps the time when it began to be so"


def test_texts_and_lists_have_bounds() -> None:
    subnets = frozenset(ip_network(f"10.{number}.0.0/16") for number in range(100))
    long = MemberNode("w11", Standing.FAILING, "x" * 10_000, subnets, version="1" * 10_000)

    (entry,) = membership_status({"w11": long}, 0)["nodes"]
    assert len(entry["reason"]) < 512
    assert len(entry["version"]) < 512
    assert len(entry["subnets"]) == 32
