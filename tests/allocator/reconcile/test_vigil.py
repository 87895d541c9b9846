"""Who waits while no allocator gives addresses is told so."""

from __future__ import annotations

import dataclasses

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.vigil import MOST, PATIENCE, Vigil
from purelb.services import ServiceView
from tests.allocator.builders import service


class Scene:
    """A vigil over some Services."""

    def __init__(self, *services: ServiceView) -> None:
        self.reason: str | None = "the Lease is somebody's"
        self.said: list[tuple[str, str]] = []
        self.cache = ServiceCache()
        for one in services:
            self.cache.seen(one)
        self.vigil = Vigil(self.cache, self._hear, lambda: self.reason, lambda: 0.0, default_announcer=True)

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


def test_of_thousands_that_wait_so_many_of_each_namespace_are_told() -> None:
    crowd = [service(f"s{number}") for number in range(20 * MOST)]
    alone = dataclasses.replace(service("alone", namespace="other"), uid="uid-other")

    told = Scene(*crowd, alone).look(0.0, PATIENCE, PATIENCE + 1)

    assert len(told) == MOST + 1
    assert told[-1] == "alone"


def test_one_that_was_made_anew_under_its_name_is_told_and_one_that_is_gone_is_forgotten() -> None:
    scene = Scene(*(service(f"s{number}") for number in range(MOST)))
    scene.look(0.0, PATIENCE)

    scene.cache.seen(dataclasses.replace(service("s0"), uid="uid-new"))
    scene.cache.forget(service("s1").key)
    scene.cache.seen(service("late"))

    assert scene.look(PATIENCE + 1, PATIENCE + 2) == ["s0", "late"]
