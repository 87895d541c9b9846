"""When it is told that an address is on a node that serves badly, as none serves well."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent.kubernetes.lastresort import PATIENCE, LastResorts
from lbnodeagent.tables import Announcement
from tests.lbnodeagent.scenes import NOW, VIP, VIP6

WELL = Announcement(VIP, "announcing", "eth0", is_local=True)
BADLY = replace(WELL, despite="its kube-proxy doesn't answer")


def test_it_is_told_once_when_it_has_lasted() -> None:
    last = LastResorts()
    last.stands(BADLY, NOW)
    assert last.deadline == NOW + PATIENCE
    assert last.due(NOW + PATIENCE - 1) == {}

    assert last.due(NOW + PATIENCE) == {VIP: "its kube-proxy doesn't answer"}
    last.stands(BADLY, NOW + PATIENCE + 1)
    assert last.deadline is None
    assert last.due(NOW + 2 * PATIENCE) == {}


def test_what_ends_before_is_not_told() -> None:
    last = LastResorts()
    last.stands(BADLY, NOW)
    last.stands(WELL, NOW + 1)

    assert last.deadline is None
    assert last.due(NOW + PATIENCE) == {}


def test_another_reason_is_no_other_time_and_the_newest_one_is_told() -> None:
    last = LastResorts()
    last.stands(BADLY, NOW)
    last.stands(replace(BADLY, despite="its Node is not Ready"), NOW + 1)

    assert last.due(NOW + PATIENCE) == {VIP: "its Node is not Ready"}


def test_what_came_back_is_told_again() -> None:
    last = LastResorts()
    last.stands(BADLY, NOW)
    last.due(NOW + PATIENCE)
    last.stands(WELL, NOW + 20)
    last.stands(BADLY, NOW + 30)

    assert last.due(NOW + 30 + PATIENCE) == {VIP: BADLY.despite}


def test_each_address_has_its_own_time() -> None:
    last = LastResorts()
    last.stands(BADLY, NOW)
    last.stands(replace(BADLY, vip=VIP6), NOW + 3)

    assert last.due(NOW + PATIENCE).keys() == {VIP}
    assert last.deadline == NOW + 3 + PATIENCE
