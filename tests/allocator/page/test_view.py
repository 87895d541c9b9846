"""What the page shows of a cluster, what has changed in it, and what becomes of hostile names."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from allocator.page.rows import LONGEST, legible
from allocator.page.view import MOST_TROUBLES, Viewer, delta, snapshot
from purelb import names
from purelb.membership import MemberNode, Standing
from tests.allocator.builders import group_body, service
from tests.allocator.page.scene import POOL, TELLER, facts, member, members, placed

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.\x00\x1b[31m</script>"


def table(said: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in said["set"][name]}


def test_a_view_is_a_head_and_four_tables() -> None:
    known = facts(placed("web", "10.1.0.7", "w1", "w1", "w3"), nodes=frozenset({"w1", "w4"}))
    said = json.loads(json.dumps(snapshot(Viewer(TELLER).see(known, 0.0, 1000.0))))

    assert said["head"]["identity"] == "allocator-0"
    assert said["head"]["states"]["Announced"] == 1
    assert (said["head"]["serving"], said["head"]["members"], said["head"]["troubles"]) == (3, 3, [])
    (pool,) = table(said, "pools").values()
    assert (pool["name"], pool["fill"], pool["is_served"]) == ("default", [["IPv4", 2, 248]], True)
    vip = table(said, "vips")["10.1.0.7"]
    assert (vip["services"], vip["node"], vip["interface"], vip["next"]) == (["default/web"], "w1", "eth0", "w3")
    nodes = table(said, "nodes")
    assert (nodes["w1"]["standing"], nodes["w1"]["vips"], nodes["w1"]["subnets"]) == ("Serving", 1, ["10.1.0.0/24"])
    assert nodes["w4"]["standing"] == "Absent"
    assert said["set"]["moves"] == []


def test_a_delta_is_what_has_changed_and_what_is_gone() -> None:
    viewer = Viewer(TELLER)
    before = viewer.see(facts(placed("web", "10.1.0.7", "w1"), placed("api", "10.1.0.8", "w2")), 0.0, 1000.0)
    same = viewer.see(facts(placed("web", "10.1.0.7", "w1"), placed("api", "10.1.0.8", "w2")), 1.0, 1001.0)
    after = viewer.see(facts(placed("web", "10.1.0.7", "w3", "w3")), 2.0, 1002.0)

    assert delta(before, same) is None
    said = delta(same, after)
    assert said is not None
    assert set(table(said, "vips")) == {"10.1.0.7"}
    assert said["drop"] == {"vips": ["10.1.0.8"]}
    assert {key: row["vips"] for key, row in table(said, "nodes").items()} == {"w1": 0, "w2": 0, "w3": 1}
    assert len(said["set"]["moves"]) == 1


def test_deltas_added_up_are_the_view() -> None:
    viewer = Viewer(TELLER)
    moments = [
        facts(),
        facts(placed("web", "10.1.0.7"), service("waits")),
        facts(placed("web", "10.1.0.7", "w1"), service("waits")),
        facts(placed("web", "10.1.0.7", "w1"), there=("w2", "w3")),
        facts(placed("web", "10.1.0.7", "w2"), there=("w2", "w3"), groups=()),
        facts(there=("w1", "w2", "w3")),
    ]
    views = [viewer.see(known, float(turn), 1000.0 + turn) for turn, known in enumerate(moments)]

    shown: dict[str, dict[str, Any]] = {name: {} for name in views[0].tables}
    head: dict[str, Any] = {}
    for said in [snapshot(views[0]), *(delta(*pair) for pair in pairwise(views))]:
        head = (said or {}).get("head", head)
        for name, rows in (said or {}).get("set", {}).items():
            shown[name] |= {row["key"]: row for row in rows}
        for name, keys in (said or {}).get("drop", {}).items():
            for key in keys:
                del shown[name][key]
    last = snapshot(views[-1])
    assert head == last["head"]
    assert shown == {name: {row["key"]: row for row in rows} for name, rows in last["set"].items()}


@pytest.mark.parametrize(
    ("changes", "about", "why"),
    [
        ({"trouble": "Services can't be listed"}, "This allocator", "Services can't be listed"),
        ({"members": None}, "Nodes", "no agent says"),
        ({"is_current": False}, "Nodes", "what is shown may be old"),
        ({"members": {"w1": member("w1", Standing.FAILING, "no kube-proxy")}}, "Node w1", "no kube-proxy"),
        ({"members": {"w1": member("w1", is_behind=True)}}, "Node w1", "doesn't hear"),
        ({"groups": (group_body("bad", local={}, netbox={}),)}, "Pool bad", ""),
    ],
)
def test_what_is_not_well_is_named(changes: dict[str, Any], about: str, why: str) -> None:
    (trouble,) = Viewer(TELLER).see(facts(**changes), 0.0, 1000.0).head.troubles

    assert trouble.about == about
    assert why in trouble.why


def test_what_is_the_same_with_many_is_one_trouble() -> None:
    waiting = (service(f"waits{n:02}") for n in range(30))
    lost = (placed(f"web{n}", f"10.1.0.{n}", "w9") for n in (1, 2))

    nowhere, pending = Viewer(TELLER).see(facts(*waiting, *lost), 0.0, 1000.0).head.troubles
    assert nowhere == ("2 addresses", "the node that announced it takes no part any more: 10.1.0.1, 10.1.0.2")
    assert pending.about == "30 Services"
    assert pending.why.startswith("no address yet: default/waits00, default/waits01, ")
    assert pending.why.endswith("default/waits07 and 22 more")


def test_many_troubles_are_counted_and_some_named() -> None:
    failing = {f"w{n}": member(f"w{n}", Standing.FAILING, "no kube-proxy") for n in range(100)}

    head = Viewer(TELLER).see(facts(members=failing), 0.0, 1000.0).head
    assert (len(head.troubles), head.more) == (MOST_TROUBLES, 100 - MOST_TROUBLES)


def test_a_node_that_an_operator_excluded_is_no_trouble() -> None:
    known = facts(members=members("w2") | {"w1": member("w1", Standing.EXCLUDED, "its Node is cordoned")})

    assert Viewer(TELLER).see(known, 0.0, 1000.0).head.troubles == ()


def test_hostile_names_are_bounded_and_show_what_is_in_them() -> None:
    body = {**POOL, "metadata": {"name": HOSTILE, "namespace": HOSTILE}}
    said_by = {HOSTILE: MemberNode(HOSTILE, Standing.FAILING, HOSTILE * 50, version=HOSTILE)}
    annotated = {names.ANNOUNCING_IPV4: f"{HOSTILE.replace(' ', '')},{HOSTILE.replace(' ', '')}"}
    web = placed("web", "10.1.0.7", namespace=HOSTILE, annotations=annotated)

    text = json.dumps(snapshot(Viewer(TELLER).see(facts(web, groups=(body,), members=said_by), 0.0, 1000.0)))

    shown = json.loads(text)
    assert "\\u202e" not in text
    assert "\\u0000" not in text
    assert "\\u001b" not in text
    assert "<img src=x" in text, "as text it may be shown: the page makes no HTML of it"
    assert len(shown["set"]["nodes"][0]["reason"]) <= LONGEST


def test_a_legible_text_stays_as_it_is() -> None:
    for text in ("web", "rack1-worker2.example", "Grüße", "名前", ""):
        assert legible(text) == text
    assert legible("x" * 1000) == "x" * (LONGEST - 1) + "…"
    assert legible("a\u200bb\nc") == "a\ufffdb\ufffdc"
