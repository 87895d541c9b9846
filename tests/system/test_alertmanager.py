"""Prometheus Alertmanager, a real memberlist cluster with user state, and one of our members among them."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.system.gossip_peers import Addresses, Alertmanager, Ours, eventually, stage

pytestmark = pytest.mark.timeout(120)


def test_we_are_counted_and_do_not_disturb(tmp_path: Path) -> None:
    addresses = Addresses(random.Random())
    with stage() as enter:
        first = Alertmanager("first", addresses.next(), tmp_path)
        second = Alertmanager("second", addresses.next(), tmp_path)
        ours = Ours("ours", addresses.next(), tmp_path, "--profile", "fast")
        for peer in (first, second, ours):
            enter(peer)
        first.start()
        eventually(lambda: bool(first.status()), seconds=20, what="Alertmanager answers")
        ours.start(join=first.address)
        second.start(join=first.address)

        for manager in (first, second):
            eventually(
                lambda manager=manager: manager.metric("alertmanager_cluster_members") == 3,  # type: ignore[misc]
                seconds=20,
                what="three members are counted",
            )
        eventually(lambda: len(ours.alive()) == 3, seconds=5, what="we see three members")

        first.silence("told before")
        eventually(lambda: second.silences() == {"told before"}, seconds=10, what="state is gossiped among them")
        time.sleep(6)  # a few push/pulls, theirs every 2 seconds and ours every 10
        second.silence("told after")
        eventually(lambda: first.silences() == {"told before", "told after"}, seconds=10, what="and still is")

        for manager in (first, second):
            assert manager.metric("alertmanager_cluster_members") == 3
            assert manager.metric("alertmanager_cluster_health_score") == 0
            assert manager.metric("alertmanager_cluster_failed_peers") in (0, None)
        assert {event["event"] for event in ours.events} <= {"join", "user"}

        ours.leave()
        eventually(lambda: first.metric("alertmanager_cluster_members") == 2, seconds=10, what="they know that we left")
