"""`kubectl purelb dashboard`: the allocator's status page through a port-forward."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clusters import WELL, cluster
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.cluster import Program, view_program
from kubectl_purelb.dashboard import page_port, show_page
from purelb.errors import SettingsError

ON = cluster(programs={**WELL, "allocator": Program("allocator", 1, 1, "a:1", {"PURELB_PAGE_PORT": "7474"})})


@pytest.mark.parametrize("said", ["", "off", "0", "99999", "x"])
def test_where_the_page_is_off_it_is_said_how_it_is_turned_on(said: str) -> None:
    off = cluster(programs={"allocator": Program("allocator", 1, 1, "a:1", {"PURELB_PAGE_PORT": said} if said else {})})

    with pytest.raises(SettingsError, match="kubectl set env -n purelb deployment/allocator PURELB_PAGE_PORT=7474"):
        page_port(off)


def test_its_port_is_what_the_deployment_says() -> None:
    env = [{"name": "PURELB_PAGE_PORT", "value": "8080"}, {"name": "X", "valueFrom": {}}]
    body = {
        "kind": "Deployment",
        "metadata": {"name": "allocator", "labels": {"component": "allocator"}},
        "spec": {"template": {"spec": {"containers": [{"image": "a:1", "env": env}]}}},
    }

    assert page_port(cluster(programs={"allocator": view_program(body)})) == 8080


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for kubectl, whose script a test writes."""
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def test_it_forwards_a_port_tells_where_and_opens_a_browser_until_interrupted(kubectl: Path) -> None:
    kubectl.write_text(
        f'#!/bin/sh\necho "$@" > {kubectl}.asked\necho "Forwarding from 127.0.0.1:40123 -> 7474"\nexec sleep 60\n'
    )
    told, shown = list[str](), list[str]()

    async def run() -> None:
        asked = Arguments("dashboard", context="two")
        showing = asyncio.create_task(show_page(ON, asked, told.append, shown.append))
        async with asyncio.timeout(20):
            while not shown:
                await asyncio.sleep(0.01)
        showing.cancel()
        assert (await showing).is_well

    asyncio.run(run())
    assert shown == ["http://127.0.0.1:40123/"]
    assert told == ["http://127.0.0.1:40123/ shows what the allocator knows; Ctrl-C ends it"]
    asked = (kubectl.parent / "kubectl.asked").read_text()
    assert asked == "--context two port-forward -n purelb deployment/allocator :7474\n"


def test_a_way_that_cannot_be_had_is_told_in_kubectls_words(kubectl: Path) -> None:
    kubectl.write_text("#!/bin/sh\necho 'error: pods is forbidden' >&2\nexit 1\n")

    with pytest.raises(SettingsError, match="error: pods is forbidden"):
        asyncio.run(show_page(ON, Arguments("dashboard"), print, print))


def test_the_way_stands_however_many_connections_kubectl_tells_of(kubectl: Path) -> None:
    """It writes a line for each, and waits where nobody reads it."""
    kubectl.write_text(
        "#!/bin/sh\necho 'Forwarding from 127.0.0.1:40123 -> 7474'\n"
        "yes 'Handling connection for 40123' | head -c 1000000\n"
        "yes 'error: a connection was reset' | head -c 1000000 >&2\necho 'error: lost connection to pod' >&2\nexit 1\n"
    )

    async def run() -> None:
        async with asyncio.timeout(20):
            await show_page(ON, Arguments("dashboard"), lambda _: None, lambda _: None)

    with pytest.raises(SettingsError, match="error: lost connection to pod"):
        asyncio.run(run())
