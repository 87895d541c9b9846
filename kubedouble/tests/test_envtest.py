"""A real control plane restarts, and goes back to a backup of etcd."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubedouble.envtest import ControlPlane, assets
from kubedouble.testing.clusters import Api, Loop

MAPS = "/api/v1/namespaces/default/configmaps"


class Plane:
    def __init__(self, folder: Path) -> None:
        programs = assets()
        assert programs is not None
        self.loop = Loop()
        self.plane = ControlPlane(folder, programs)
        self.loop.run(self.plane.start())
        self.folder = folder

    @property
    def api(self) -> Api:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        return Api(self.plane.url, self.plane.admin_token, context)

    def add(self, name: str) -> str:
        made = self.api.post(MAPS, {"metadata": {"name": name}}).ok()
        return str(made["metadata"]["resourceVersion"])

    def names(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.api.get(MAPS).ok()["items"]]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    plane = Plane(tmp_path_factory.mktemp("envtest"))
    yield plane
    plane.loop.run(plane.plane.stop())
    plane.loop.close()


def test_a_restart_ends_watches_and_keeps_objects(plane: Plane) -> None:
    plane.add("before-restart")
    with plane.api.watch(MAPS) as watcher:
        assert watcher.status == 200
        plane.loop.run(plane.plane.restart())
        with contextlib.suppress(OSError):
            list(watcher)  # it comes to an end
    assert plane.names() == ["before-restart"]


def test_an_older_backup_has_older_objects_and_resource_versions(plane: Plane) -> None:
    with pytest.raises(ValueError, match="no snapshot to go back to"):
        plane.loop.run(plane.plane.go_back())
    plane.loop.run(plane.plane.remember())
    last = max(int(plane.add(f"forgotten-{number}")) for number in range(20))
    assert "forgotten-0" in plane.names()

    plane.loop.run(plane.plane.go_back())

    assert plane.names() == ["before-restart"]
    assert int(plane.add("afterwards")) < last
