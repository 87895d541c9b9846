"""The one object that says who is there."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from purelb.membership import MemberNode, Standing, membership_status, parse_membership

NODES = {
    "w11": MemberNode("w11", Standing.SERVING, subnets=frozenset({ip_network("10.31.0.0/16")}), version="0.2.0"),
    "w12": MemberNode("w12", Standing.FAILING, "kube-proxy doesn't answer on port 10256", version="0.2.0"),
    "old": MemberNode("old", Standing.SERVING, speaks=False),
}


def test_what_was_written_is_read() -> None:
    assert parse_membership({"status": membership_status(NODES, 7)}) == NODES


def test_the_summary_names_those_that_do_not_serve() -> None:
    status = membership_status(NODES, 7)

    assert (status["serving"], status["vips"]) == ("2/3", 7)
    assert status["others"] == "w12: kube-proxy doesn't answer on port 10256"


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {"nodes": None}}, {"status": {"nodes": [{}]}}])
def test_an_object_without_nodes_has_none(body: dict[str, object]) -> None:
    assert parse_membership(body) == {}


def test_an_unknown_standing_does_not_serve() -> None:
    (node,) = parse_membership(
        {"status": {"nodes": [{"name": "w11", "standing": "Dancing", "subnets": ["x"]}]}}
    ).values()

    assert (node.standing, node.subnets) == (Standing.FAILING, frozenset())
