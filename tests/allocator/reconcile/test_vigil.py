"""Who waits while no allocator gives addresses is told so."""

from __future__ import annotations

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.vigil import MOST, PATIENCE, Vigil
from purelb.services import ServiceView
from tests.allocator.builders import service


class Scene:
    """A vigil over some Services."""

    def __init__(self, *services: ServiceView) -> None:
        self.reason: str | None = "the Lease is somebody's"
        self.said: list[tuple[str, str]] = []
        cache = ServiceCache()
        for one in services:
            cache.seen(one)
        self.vigil = Vigil(cache, self._hear, lambda: self.reason, lambda: 0.0, default_announcer=True)

    def _hear(self, service: ServiceView, sentence: str) -> None:
        self.said.append((service.key.name, sentence))

    def look(self, *times: float) -> list[str]:
        for now in times:
            self.vigil.look(now)
        names = [name for name, _ in self.said]
        self.said.clear()
        return names


def test_who_waits_is_told_once_after_a_while_and_nobody_else() -> None:
    scene = Scene(
        service("waits"),
        service("served", ingress=["10.1.0.1"]),
        service("others", loadBalancerClass="another.example/lb"),
        service("inner", type="ClusterIP"),
    )

    assert scene.look(0.0, PATIENCE - 1) == []
    scene.vigil.look(PATIENCE)
    assert scene.said == [("waits", "the Lease is somebody's")]
    scene.said.clear()
    assert scene.look(PATIENCE + 1, PATIENCE + 2) == []


def test_a_moment_without_a_leader_is_not_told_and_a_new_trouble_is() -> None:
    scene = Scene(service("waits"))
    scene.look(0.0, PATIENCE - 1)
    scene.reason = None
    scene.look(PATIENCE)
    scene.reason = "the Lease can't be read"

    assert scene.look(PATIENCE + 1) == []
    assert scene.look(2 * PATIENCE + 1) == ["waits"]


def test_of_thousands_that_wait_only_so_many_are_told() -> None:
    scene = Scene(*(service(f"s{number}") for number in range(2 * MOST)))

    assert len(scene.look(0.0, PATIENCE, PATIENCE + 1)) == MOST
