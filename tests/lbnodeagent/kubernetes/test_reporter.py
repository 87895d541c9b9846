"""What users are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lbnodeagent.kubernetes import lastresort
from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.tables import Announcement, Conflict, KeptFlows, Mac, Members
from purelb.servicegroups import parse_service_group
from purelb.services import ServiceView
from tests.lbnodeagent.kubernetes.reporting import (
    GONE,
    HERE,
    OURS,
    RecordingApi,
    reporter_of,
    stored,
    told,
    until,
    web_service,
)
from tests.lbnodeagent.kubernetes.test_viptable import endpoints
from tests.lbnodeagent.scenes import VIP


def test_an_address_on_a_node_that_serves_badly_as_none_serves_well_is_told_on_its_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = RecordingApi(stored())
    monkeypatch.setattr(lastresort, "PATIENCE", 0.05)

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        reporter.vip_stands(replace(HERE, despite="its kube-proxy doesn't answer"))
        await until(lambda: len(api.events) == 2)

    told(tmp_path, api, web_service(), act)

    assert [reason for reason, _ in api.events] == ["AnnouncingLocal", "NoNodeServing"]
    assert api.events[1][1] == (
        f"Node w11 announces {VIP} although its kube-proxy doesn't answer: no node that could have it serves"
    )


def test_each_change_is_one_event_in_purelbs_words(tmp_path: Path) -> None:
    api = RecordingApi(stored())
    failed = Announcement(VIP, "failed", interface="eth0", error="no such thing")

    async def act(reporter: Reporter) -> None:
        for announcement in (HERE, HERE, GONE, failed, Announcement(VIP, "announcing", "kube-lb0")):
            reporter.vip_stands(announcement)
        await until(lambda: len(api.events) == 3)

    told(tmp_path, api, web_service(), act)

    assert api.events == [
        ("AnnouncingLocal", f"Node w11 announcing {VIP} on interface eth0"),
        ("AnnouncementFailed", f"Node w11 could not announce {VIP} on interface eth0: no such thing"),
        ("AnnouncingNonLocal", f"Announcing {VIP} from node w11 interface kube-lb0"),
    ]


def test_connections_that_outlive_a_move_are_told_of_on_their_service(tmp_path: Path) -> None:
    api = RecordingApi(stored())

    async def act(reporter: Reporter) -> None:
        reporter.flows_kept(KeptFlows(VIP, "w12", "begun", 37, 3.0, 12))
        reporter.flows_kept(KeptFlows(VIP, "w12", "ended", 37, 12.3, 4567))
        reporter.flows_kept(KeptFlows(VIP, "w13", "lost", 1, 60.0, 8))
        await until(lambda: len(api.events) == 3)

    told(tmp_path, api, web_service(), act)

    assert api.events == [
        ("ConnectionsKept", f"Node w12 goes on serving 37 connections to {VIP}, which node w11 passes on to it"),
        (
            "ConnectionsEnded",
            f"The last of 37 connections to {VIP} that node w12 went on serving ended after 12.3 s; "
            "node w11 passed 4567 packets on to it",
        ),
        (
            "ConnectionsLost",
            f"Node w13 is gone, or its agent for longer than an upgrade takes, and with it 1 connection to {VIP} that "
            "node w11 passed on to it",
        ),
    ]


@pytest.mark.parametrize(
    ("node", "is_heard", "says"),
    [
        ("", False, "Another host, 02:11:aa:bb:cc:dd, answers for 10.31.188.64, which node w11 announces"),
        ("m", False, "port 7934, UDP and TCP, may be closed between the nodes"),
        ("m", True, "kube-proxy in mode ipvs, which must have strictARP set"),
    ],
)
def test_a_conflict_says_whose_host_it_is_and_what_to_do(tmp_path: Path, node: str, is_heard: bool, says: str) -> None:
    api = RecordingApi(stored())

    async def act(reporter: Reporter) -> None:
        mac = Mac(bytes.fromhex("0211aabbccdd"))
        reporter.conflict_heard(Conflict(VIP, "eth0", mac, node, is_heard=is_heard))
        await until(lambda: bool(api.events))

    told(tmp_path, api, web_service(), act)

    ((reason, text),) = api.events
    assert reason == "AddressConflict"
    assert says in text
    assert ("another address" in text) is (node == "")
    assert node in text


@pytest.mark.parametrize(
    ("notes", "sentence"),
    [
        ({"allow_local": "true", **OURS}, "ExternalTrafficPolicy override annotation found: "),
        (OURS, "ExternalTrafficPolicy Local holds: one of the nodes with a ready endpoint announces, "),
    ],
)
def test_a_policy_that_is_kept_is_told_once_and_nothing_is_written(
    tmp_path: Path, notes: dict[str, str], sentence: str
) -> None:
    api = RecordingApi(stored(**notes))
    kept = replace(web_service(**notes), external_traffic_policy="Local")

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        for _ in range(3):
            reporter.service_changed(kept)
        await until(lambda: len(api.events) == 2)
        await asyncio.sleep(0.1)

    told(tmp_path, api, kept, act)

    assert [reason for reason, _ in api.events] == ["LocalOverride", "AnnouncingLocal"]
    assert api.events[0][1].startswith(sentence)
    assert api.patches == []


def test_an_adopted_address_is_no_news(tmp_path: Path) -> None:
    api = RecordingApi(stored(**OURS))

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(replace(HERE, is_fresh=False))
        await asyncio.sleep(0.1)

    told(tmp_path, api, web_service(**OURS), act)

    assert (api.events, api.patches) == ([], [])


def test_the_announced_metric_follows() -> None:
    async def scene() -> list[float | None]:
        made, registry = reporter_of(web_service())
        labels = {"service": "test/web", "node": "w11", "ip": str(VIP)}
        values = []
        for announcement in (HERE, GONE):
            made.vip_stands(announcement)
            values.append(registry.get_sample_value("purelb_lbnodeagent_announced", labels))
        return values

    assert asyncio.run(scene()) == [1.0, None]


ALONE = Members(frozenset({"w11"}), frozenset({"w11"}))
ROUTED = Announcement(VIP, "announcing", "kube-lb0", is_local=False)


def warnings(
    tmp_path: Path, kind: str, view: ServiceView | None = None, *, others: Members = ALONE, unknown_for: float = 0.0
) -> list[str]:
    """What is said of a VIP of a pool of this kind that came to the dummy interface, on ``w11``."""
    api = RecordingApi(stored())
    pool = {"v4pool": {"pool": f"{VIP}/32", "subnet": "10.31.0.0/16"}}
    group = {"metadata": {"name": "default", "namespace": "purelb"}, "spec": {kind: pool}}

    async def act(reporter: Reporter) -> None:
        reporter.annotator._wanted.set_group(parse_service_group(group))
        reporter.annotator._wanted.set_slice(endpoints("web", ("w11", {"ready": True})))
        for _ in range(2):
            reporter.vip_stands(ROUTED)
        await asyncio.sleep(unknown_for)
        reporter.members_are(others)  # a moment later, as at an agent's start
        await until(lambda: bool(api.events))
        await asyncio.sleep(0.25)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lbnodeagent.kubernetes.reporter.SETTLED", 0.1)
        told(tmp_path, api, view or web_service(), act)
    return [text for reason, text in api.events if reason == "ConfigurationWarning"]


def test_a_local_pool_in_a_subnet_of_no_node_is_told_to_need_a_router(tmp_path: Path) -> None:
    (text,) = warnings(tmp_path, "local")

    assert text == (
        "10.31.188.64 is on no node's subnet, so that it is on kube-lb0 of the nodes only: it is reached through a "
        "router that learns its route from them. If that is meant, make ServiceGroup default a remote one; else give "
        "it a pool in a subnet of the nodes"
    )


def test_a_remote_pool_is_not(tmp_path: Path) -> None:
    assert warnings(tmp_path, "remote") == []


MANY = frozenset({"w11", *(f"w{number}" for number in range(12, 40))})


def test_one_of_the_nodes_that_announce_it_tells_it(tmp_path: Path) -> None:
    assert warnings(tmp_path, "local", others=Members(MANY, MANY)) == []
    assert len(warnings(tmp_path, "local", others=Members(MANY, frozenset({"w11"})))) == 1


def test_with_policy_local_it_is_one_that_has_an_endpoint(tmp_path: Path) -> None:
    local = replace(web_service(), external_traffic_policy="Local")

    assert len(warnings(tmp_path, "local", local, others=Members(MANY, MANY))) == 1


def test_while_the_others_are_not_known_it_waits(tmp_path: Path) -> None:
    assert len(warnings(tmp_path, "local", unknown_for=0.4)) == 1


def test_what_no_node_can_announce_names_no_node(tmp_path: Path) -> None:
    api = RecordingApi(stored())

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(Announcement(VIP, "failed", error="no live node has a NIC there"))
        await until(lambda: bool(api.events))

    told(tmp_path, api, web_service(), act)

    assert api.events == [("AnnouncementFailed", "No node announces 10.31.188.64: no live node has a NIC there")]
