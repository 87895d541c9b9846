"""What users are told, and what is written to a Service."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes import annotator, lastresort, policyreset
from lbnodeagent.kubernetes.annotator import Annotator
from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.tables import Announcement, Conflict, Mac, Members
from purelb.election import owner
from purelb.events import EventRecorder
from purelb.kube import Kube
from purelb.metrics import AgentMetrics
from purelb.servicegroups import parse_service_group
from purelb.services import ServiceView, view_service
from tests.lbnodeagent.kubernetes.test_viptable import endpoints, service
from tests.lbnodeagent.scenes import VIP

HERE = Announcement(VIP, "announcing", "eth0", is_local=True)
GONE = Announcement(VIP, "withdrawn")


class Table:
    """Takes answers as they come."""

    epoch = 0

    def __init__(self, table: WantedTable) -> None:
        self._table = table

    def answered(self, body: dict[str, Any], epoch: int) -> None:
        self._table.set_service(view_service(body))


def web_service(**annotations: str) -> ServiceView:
    return service(ips=(str(VIP),), **annotations)


def reporter_of(view: ServiceView) -> tuple[Reporter, CollectorRegistry]:
    """A reporter of the node ``w11`` that knows one Service; it has no API server yet."""
    table, registry = WantedTable(), CollectorRegistry()
    table.set_service(view)
    kube = Kube()
    made = Reporter("w11", kube, EventRecorder(kube, "test"), table, AgentMetrics(registry), Table(table))
    return made, registry


def changes(view: ServiceView, *announcements: Announcement) -> dict[str, str | None]:
    """What the annotations are to become after the data plane's reports."""

    async def scene() -> dict[str, str | None]:
        made, _ = reporter_of(view)
        for announcement in announcements:
            made.vip_stands(announcement)
        return made.annotator.changes(view, 0.0)

    return asyncio.run(scene())


V4 = "purelb.io/announcing-IPv4"
OURS = {"announcing_IPv4": "w11,eth0"}
THEIRS = {"announcing_IPv4": "w12,eth0"}


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


class RecordingApi:
    """An API server that takes every Event and PATCH; ``conflicts`` PATCHes are refused first."""

    def __init__(self, stored: dict[str, Any], conflicts: int = 0, *, forbids_specs: bool = False) -> None:
        self.stored = stored
        self.conflicts = conflicts
        self.forbids_specs = forbids_specs
        self.forbidden = 0
        self.patches: list[dict[str, Any]] = []
        self.events: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        if request.path.endswith("/events"):
            self.events.append((body["reason"], body["message"]))
            return web.json_response({**body, "metadata": {**body["metadata"], "name": "event"}}, status=201)
        if "/events/" in request.path:
            return web.json_response({"metadata": {"name": "event"}})
        if request.method == "PATCH":
            if self.conflicts:
                self.conflicts -= 1
                refusal = {"kind": "Status", "message": "changed meanwhile", "reason": "Conflict"}
                return web.json_response(refusal, status=409)
            if self.forbids_specs and not request.path.endswith("/status"):
                self.forbidden += 1
                refusal = {"kind": "Status", "message": 'w11 cannot patch resource "services"', "reason": "Forbidden"}
                return web.json_response(refusal, status=403)
            self.patches.append(body)
            self.stored["metadata"]["annotations"] |= body["metadata"].get("annotations") or {}
        return web.json_response(self.stored)


@contextmanager
def kubeconfig(folder: Path, url: str) -> Iterator[Path]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    yield path


def told(
    tmp_path: Path,
    api: RecordingApi,
    view: ServiceView,
    act: Callable[[Reporter], Awaitable[None]],
    registry: CollectorRegistry | None = None,
    *,
    keeps_local: bool = True,
) -> None:
    """Run a reporter against ``api`` while ``act`` goes on."""

    async def scene() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", api.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        with kubeconfig(tmp_path, f"http://127.0.0.1:{port}") as path:
            async with Kube(path) as kube:
                table = WantedTable(keeps_local=keeps_local)
                table.set_service(view)
                events = EventRecorder(kube, "purelb-lbnodeagent")
                metrics = AgentMetrics(registry or CollectorRegistry())
                made = Reporter("w11", kube, events, table, metrics, Table(table))
                async with asyncio.TaskGroup() as tasks:
                    running = [tasks.create_task(made.annotator.run()), tasks.create_task(events.run())]
                    await act(made)
                    for task in running:
                        task.cancel()
        await runner.cleanup()

    asyncio.run(scene())


def stored(**annotations: str) -> dict[str, Any]:
    notes = {f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "test",
            "name": "web",
            "annotations": {"purelb.io/allocated-by": "PureLB", **notes},
        },
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": str(VIP)}]}},
    }


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


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
        await until(lambda: len(api.patches) == 1)
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


def test_a_policy_that_is_set_to_cluster_is_told_also_when_the_address_was_there_before(tmp_path: Path) -> None:
    api = RecordingApi(stored(**OURS))
    local = web_service(**OURS)
    local = replace(local, external_traffic_policy="Local")

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(replace(HERE, is_fresh=False))
        await until(lambda: bool(api.events))

    told(tmp_path, api, local, act, keeps_local=False)

    assert [patch["spec"] for patch in api.patches] == [{"externalTrafficPolicy": "Cluster"}]
    ((reason, text),) = api.events
    assert reason == "LocalOverride"
    assert text.startswith("ExternalTrafficPolicy Local not supported on local Interfaces, setting to Cluster. ")
    assert "purelb.io/allow-local" in text


def test_annotations_go_by_the_status_and_the_policy_by_a_write_of_its_own(tmp_path: Path) -> None:
    api = RecordingApi(stored())
    api.stored["spec"]["externalTrafficPolicy"] = "Local"
    local = replace(web_service(), external_traffic_policy="Local")

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: len(api.patches) == 2)

    told(tmp_path, api, local, act, keeps_local=False)

    annotations, policy = api.patches
    assert annotations["metadata"]["annotations"] == {V4: "w11,eth0"}
    assert "spec" not in annotations
    assert policy["metadata"]["annotations"] == {}
    assert policy["spec"] == {"externalTrafficPolicy": "Cluster"}


def test_who_may_not_set_policies_still_annotates_all_services_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = RecordingApi(stored(), forbids_specs=True)
    api.stored["spec"]["externalTrafficPolicy"] = "Local"
    monkeypatch.setattr(annotator, "WRITERS", 1)
    monkeypatch.setattr(annotator, "RETRY", 3600.0)
    monkeypatch.setattr(policyreset, "RETRY", 0.05)
    other = VIP + 1

    async def act(reporter: Reporter) -> None:
        reporter.vip_stands(HERE)
        await until(lambda: api.forbidden == 3)
        reporter.annotator._wanted.set_service(service("other", ips=(str(other),)))
        reporter.vip_stands(Announcement(other, "announcing", "eth0", is_local=True))
        await until(lambda: len(api.patches) == 2)

    told(tmp_path, api, replace(web_service(), external_traffic_policy="Local"), act, keeps_local=False)

    assert all(patch["metadata"]["annotations"] == {V4: "w11,eth0"} for patch in api.patches)
    (text,) = [text for reason, text in api.events if reason == "LocalOverride"]
    assert 'the API server refuses it: w11 cannot patch resource "services"; ' in text


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
