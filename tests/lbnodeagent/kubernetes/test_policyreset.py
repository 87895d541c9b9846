"""Where PureLB's way is wanted, policy Local becomes Cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lbnodeagent.kubernetes import annotator, policyreset
from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.tables import Announcement
from tests.lbnodeagent.kubernetes.reporting import HERE, OURS, V4, RecordingApi, stored, told, until, web_service
from tests.lbnodeagent.kubernetes.test_viptable import service
from tests.lbnodeagent.scenes import VIP


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
