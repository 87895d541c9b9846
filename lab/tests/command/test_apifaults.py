"""Faults of the API server by the lab's command: those that the double knows, and sentences for what can't be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubedouble.misdeeds import MISDEEDS
from kubedouble.testing.clusters import Embedded
from lab.command import apifaults, control
from lab.errors import FaultRefused, NoLab
from lab.settings import API_FAULTS, FAULTS_FILE


@pytest.fixture
def server() -> Iterator[Embedded]:
    running = Embedded()
    yield running
    running.stop()


@pytest.fixture
def folder(server: Embedded, tmp_path: Path) -> Iterator[Path]:
    url = server.loop.run(server.server.listen_admin("127.0.0.1", 0))
    (tmp_path / FAULTS_FILE).write_text(f"{url}\n")
    with control.listen(tmp_path):
        yield tmp_path


def test_the_lab_has_all_faults_that_the_double_has() -> None:
    assert set(API_FAULTS) - {*apifaults.WHOLE, apifaults.ROTATE} == set(MISDEEDS) - {"status"}


def test_a_fault_befalls_our_programs_until_healed(server: Embedded, folder: Path) -> None:
    said = [apifaults.begin(folder, "429", "patch"), apifaults.begin(folder, "html", None)]

    active = [(one.kind, one.code, one.verb, one.user_agent) for one in server.server.faults.active()]
    assert active == [("status", 429, "patch", "purelb-"), ("html", 500, None, "purelb-")]
    assert said[0] == "API server: 429 for patch of PureLB's programs, until `heal api`"
    assert apifaults.end(folder) == "API server: 429, html healed"
    assert apifaults.end(folder) == "API server: nothing to heal"


def test_what_befalls_the_whole_server_happens_once(server: Embedded, folder: Path) -> None:
    with pytest.raises(FaultRefused, match="no snapshot to go back to"):
        apifaults.begin(folder, "go-back", None)
    for kind in ("remember", "go-back", "drop-watches", "expire", "restart"):
        assert apifaults.begin(folder, kind, None) == f"API server: {kind}"
    assert [one.kind for one in server.server.faults.active()] == []


def test_what_can_not_be_is_one_sentence(folder: Path) -> None:
    with pytest.raises(FaultRefused, match=r"no fault 'flood' of the API server; there are: a code \(429\), read-only"):
        apifaults.begin(folder, "flood", None)
    with pytest.raises(FaultRefused, match="restart befalls the API server as a whole"):
        apifaults.begin(folder, "restart", "list")


def test_of_a_real_server_the_lab_itself_is_asked(folder: Path) -> None:
    (folder / FAULTS_FILE).unlink()
    with pytest.raises(FaultRefused, match="takes no --verb"):
        apifaults.begin(folder, "restart", "list")
    with pytest.raises(FaultRefused, match="takes no orders"):
        apifaults.ask(folder, "GET", "/faults")


def test_without_a_lab_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoLab):
        apifaults.begin(tmp_path, "html", None)
