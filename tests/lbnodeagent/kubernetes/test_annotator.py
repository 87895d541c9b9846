"""What is written to a Service, and when again."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest
from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes import annotator
from lbnodeagent.kubernetes.annotator import Annotator
from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.tables import Announcement, Members
from purelb.election import owner
from purelb.services import ServiceView
from tests.lbnodeagent.kubernetes.reporting import (
    GONE,
    HERE,
    OURS,
    THEIRS,
    V4,
    RecordingApi,
    reporter_of,
    stored,
    told,
    until,
    web_service,
)
from tests.lbnodeagent.kubernetes.test_viptable import service
from tests.lbnodeagent.scenes import VIP


def changes(view: ServiceView, *announcements: Announcement) -> dict[str, str | None]:
    """What the annotations are to become after the data plane's reports."""

    async def scene() -> dict[str, str | None]:
        made, _ = reporter_of(view)
        for announcement in announcements:
            made.vip_stands(announcement)
        return made.annotator.changes(view, 0.0)

    return asyncio.run(scene())


def test_the_owner_sets_the_annotation_and_corrects_a_stale_one() -> None:
    assert changes(web_service(), HERE) == {V4: "w11,eth0"}
    assert changes(web_service(**THEIRS), HERE) == {V4: "w11,eth0"}
    assert changes(web_service(**OURS), HERE) == {}


def test_a_node_that_lets_go_takes_its_name_away() -> None:
    assert changes(web_service(**OURS), HERE, GONE) == {V4: None}


def test_a_successor_writes_its_own_name_over_it() -> None:
    assert changes(web_service(**OURS), HERE, replace(GONE, successor="w12")) == {}
    assert changes(web_service(**THEIRS), replace(HERE, successor="w12")) == {}


def test_another_nodes_annotation_is_left_alone() -> None:
    assert changes(web_service(**THEIRS), GONE) == {}


def test_before_the_data_plane_reports_nothing_is_taken_away() -> None:
    assert changes(web_service(**OURS)) == {}


def test_a_service_without_an_address_loses_our_name() -> None:
    assert changes(service(ips=(), **OURS)) == {V4: None}


def test_after_an_update_that_dropped_all_annotations_the_owner_names_itself_again() -> None:
    view = replace(web_service(), annotations={}, ingress_writer="purelb-allocator")

    assert changes(view, HERE) == {V4: "w11,eth0"}
    assert changes(replace(view, ingress_writer="another"), HERE) == {}


def test_a_routed_address_gets_no_annotation() -> None:
    assert changes(web_service(), Announcement(VIP, "announcing", "kube-lb0")) == {}


def test_a_conflict_is_decided_again_on_what_the_service_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = RecordingApi(stored(announcing_IPv4="w12,eth0"), conflicts=1)
    monkeypatch.setattr(annotator, "CALM", 0.05)

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: bool(api.patches))

    told(tmp_path, api, web_service(), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == [{V4: "w11,eth0"}]


def test_a_write_that_failed_was_undone_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = RecordingApi(stored(**THEIRS), conflicts=1)
    monkeypatch.setattr(annotator, "CALM", 3600.0)

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: bool(api.patches))

    told(tmp_path, api, web_service(), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == [{V4: "w11,eth0"}]


def test_what_was_to_be_looked_at_later_is_written_before_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = RecordingApi(stored())
    monkeypatch.setattr(annotator, "CALM", 3600.0)

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: len(api.patches) == 1)
        reporter.annotator._wanted.set_service(web_service())  # somebody takes the annotation away
        reporter.service_changed(web_service())
        await asyncio.sleep(0.1)
        assert len(api.patches) == 1
        await reporter.annotator.flush(5)
        assert len(api.patches) == 2

    told(tmp_path, api, web_service(), act)


def test_a_node_that_goes_on_writing_its_name_is_not_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a partition of the gossip that isn't one of the API, two would else write for as long as it lasts."""
    api = RecordingApi(stored(**THEIRS))
    monkeypatch.setattr(annotator, "CALM", 0.05)

    async def act(reporter: Reporter) -> None:
        reporter.annotator.members_are(frozenset({"w11"}))
        reporter.vip_stands(GONE)
        await until(lambda: len(api.patches) == 1)
        for _ in range(3):  # it's there again
            await asyncio.sleep(0.1)
            reporter.annotator._wanted.set_service(web_service(**THEIRS))
            reporter.service_changed(web_service(**THEIRS))
        await asyncio.sleep(0.2)

    told(tmp_path, api, web_service(**THEIRS), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == [{V4: None}]


def test_two_nodes_that_do_not_hear_each_other_do_not_write_over_each_other_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = next(node for node in (f"w{number}" for number in range(12, 99)) if owner(("w11", node), VIP) == node)
    theirs = web_service(announcing_IPv4=f"{rival},eth0")
    api = RecordingApi(stored())
    monkeypatch.setattr(annotator, "CALM", 0.01)

    async def act(reporter: Reporter) -> None:
        reporter.annotator.members_are(frozenset({"w11"}))
        reporter.vip_stands(HERE)
        await until(lambda: bool(api.patches))
        for _ in range(20):  # the other one never gives way
            await asyncio.sleep(0.02)
            reporter.annotator._wanted.set_service(theirs)
            reporter.service_changed(theirs)

    told(tmp_path, api, web_service(), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == [{V4: "w11,eth0"}]


@pytest.mark.parametrize("is_chosen", [True, False], ids=["the election's choice", "not its choice"])
def test_what_a_node_wrote_while_it_was_not_heard_is_put_right_as_soon_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_chosen: bool
) -> None:
    others = (f"w{number}" for number in range(12, 99))
    rival = next(node for node in others if (owner(("w11", node), VIP) == node) is is_chosen)
    theirs = web_service(announcing_IPv4=f"{rival},eth0")
    api = RecordingApi(stored())
    monkeypatch.setattr(annotator, "CALM", 3600.0)

    async def act(reporter: Reporter) -> None:
        reporter.annotator.members_are(frozenset({"w11"}))
        reporter.vip_stands(HERE)
        await until(lambda: len(api.patches) == 1 and not reporter.annotator._at_work)  # it has its answer
        reporter.annotator._wanted.set_service(theirs)
        reporter.service_changed(theirs)
        await asyncio.sleep(0.1)
        assert len(api.patches) == 1
        reporter.annotator.members_are(frozenset({"w11", rival}))
        await until(lambda: len(api.patches) == 2)

    told(tmp_path, api, web_service(), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == 2 * [{V4: "w11,eth0"}]


@pytest.mark.parametrize("left", [{}, {"announcing_IPv4": "x,eth0,192.0.2.1"}], ids=["nothing", "junk"])
def test_who_takes_the_name_away_again_and_again_is_answered_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: dict[str, str]
) -> None:
    api = RecordingApi(stored())
    monkeypatch.setattr(annotator, "CALM", 0.01)

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: bool(api.patches))
        for _ in range(40):
            await asyncio.sleep(0.02)
            reporter.annotator._wanted.set_service(web_service(**left))
            reporter.service_changed(web_service(**left))

    told(tmp_path, api, web_service(), act)

    assert 2 <= len(api.patches) <= 8, "at once after the first time, and not 40 times"


def calls_of(addresses: int) -> int:
    """Function calls that it takes an agent that starts again to tell of so many addresses of one Service."""
    vips = [VIP + number for number in range(addresses)]
    names = " ".join(f"w11,eth0,{vip}" for vip in vips)
    view = service(ips=tuple(map(str, vips)), announcing_IPv4=names)
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    async def scene() -> None:
        made, _ = reporter_of(view)
        sys.setprofile(count)
        try:
            for vip in vips:
                made.vip_stands(Announcement(vip, "announcing", "eth0", is_local=True, is_fresh=False))
            made.service_changed(view)
            assert made.annotator.changes(view, 0.0) == {}
        finally:
            sys.setprofile(None)

    asyncio.run(scene())
    return calls


def test_many_addresses_of_one_service_cost_an_agent_no_more_than_as_many_services() -> None:
    assert calls_of(600) < 3 * calls_of(300)


def walks_after(*changes: frozenset[str]) -> int:
    """How often all Services are looked at for names of the dead, after these changes of the members."""
    walks = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal walks
        walks += event == "call" and frame.f_code is Annotator._look_for_the_dead.__code__

    async def scene() -> None:
        made, _ = reporter_of(web_service())
        sys.setprofile(count)
        try:
            for members in changes:
                made.members_are(Members(members))
            await asyncio.sleep(0.1)
        finally:
            sys.setprofile(None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotator, "MOURNING", 0.01)
        asyncio.run(scene())
    return walks


def test_many_nodes_that_come_and_go_do_not_cost_as_many_looks_at_all_services() -> None:
    growing = [frozenset(f"w{number}" for number in range(11, last)) for last in range(12, 40)]

    assert walks_after(*growing) == 1
    assert walks_after(*growing, *reversed(growing)) <= 2
    assert walks_after(growing[0], frozenset()) == 1
    assert walks_after(frozenset()) == 0


def test_the_name_of_a_node_that_went_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = RecordingApi(stored(**THEIRS))
    monkeypatch.setattr(annotator, "MOURNING", 0.02)

    async def act(reporter: Reporter) -> None:
        reporter.members_are(Members(frozenset({"w11", "w12"})))
        await asyncio.sleep(0.1)
        reporter.vip_stands(GONE)
        await asyncio.sleep(0.1)
        assert api.patches == []
        reporter.members_are(Members(frozenset({"w11"})))
        await until(lambda: bool(api.patches))

    told(tmp_path, api, web_service(**THEIRS), act)

    assert [patch["metadata"]["annotations"] for patch in api.patches] == [{V4: None}]


@pytest.mark.parametrize(("named", "label"), [("ghost", "unknown"), ("w12", "w12")])
def test_no_label_of_a_metric_is_what_a_tenant_wrote(tmp_path: Path, named: str, label: str) -> None:
    notes = {"announcing_IPv4": f"{named},eth0"}
    api, registry = RecordingApi(stored(**notes)), CollectorRegistry()

    async def act(reporter: Reporter) -> None:
        reporter.annotator.members_are(frozenset({"w11", "w12"}))
        reporter.annotator.members_are(frozenset({"w11"}))
        reporter.vip_stands(HERE)
        await until(lambda: any(reason == "AnnounceSlotSteal" for reason, _ in api.events))

    told(tmp_path, api, web_service(**notes), act, registry)

    name = "purelb_lbnodeagent_announce_slot_steal_total"
    assert registry.get_sample_value(name, {"from": label, "to": "w11"}) == 1.0
