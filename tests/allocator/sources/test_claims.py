"""For whom sidecars keep addresses, in a ConfigMap of a real API: it survives whoever wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from allocator.sources.claims import NAME, SidecarClaims
from purelb.errors import KubeError
from purelb.kube import core_path
from tests.allocator.builders import key
from tests.allocator.stage import Stage, staged

PATH = core_path("configmaps", "purelb", NAME)


def play(scenario: Callable[[Stage, SidecarClaims], Coroutine[Any, Any, None]], *, embedded: bool = False) -> None:
    async def run() -> None:
        async with staged(embedded=embedded) as stage:
            await scenario(stage, SidecarClaims(stage.kube, "purelb"))

    asyncio.run(run())


async def data(stage: Stage) -> dict[str, str]:
    return (await stage.kube.get(PATH)).get("data") or {}


def test_who_comes_after_reads_what_was_written() -> None:
    async def scenario(stage: Stage, claims: SidecarClaims) -> None:
        assert await claims.services("outside") == []
        await claims.add([key("a")], "outside")
        await claims.add([key("a"), key("b")], "other")
        assert await data(stage) == {"default.a": "other,outside", "default.b": "other"}

        successor = SidecarClaims(stage.kube, "purelb")
        assert await successor.services("outside") == [key("a")]
        assert sorted(await successor.services("other")) == [key("a"), key("b")]

    play(scenario)


def test_what_is_removed_leaves_nothing_behind() -> None:
    async def scenario(stage: Stage, claims: SidecarClaims) -> None:
        await claims.add([key("a")], "outside")
        await claims.add([key("a")], "other")
        await claims.remove(key("a"), "outside")
        await claims.remove(key("b"), "outside")
        assert await data(stage) == {"default.a": "other"}

        await claims.remove(key("a"), "other")
        assert await data(stage) == {}
        assert await claims.services("other") == []

    play(scenario)


def test_many_at_once_are_one_write() -> None:
    async def scenario(stage: Stage, claims: SidecarClaims) -> None:
        await claims.add([key("first")], "outside")
        before = (await stage.kube.get(PATH))["metadata"]["resourceVersion"]
        await claims.add([key(f"s{number}") for number in range(50)], "outside")
        await claims.add([key(f"s{number}") for number in range(50)], "outside")

        assert len(await data(stage)) == 51
        after = (await stage.kube.get(PATH))["metadata"]["resourceVersion"]
        assert int(after) == int(before) + 1

    play(scenario)


def test_one_that_somebody_deleted_is_written_anew() -> None:
    async def scenario(stage: Stage, claims: SidecarClaims) -> None:
        await claims.add([key("a")], "outside")
        await stage.kube.delete(PATH)
        await claims.add([key("b")], "outside")

        assert await data(stage) == {"default.a": "outside", "default.b": "outside"}

    play(scenario)


def test_what_could_not_be_written_is_not_taken_for_written() -> None:
    async def scenario(stage: Stage, claims: SidecarClaims) -> None:
        await claims.add([key("a")], "outside")
        stage.api.faults.status(503, verb="patch", resource="configmaps", count=1)
        with pytest.raises(KubeError):
            await claims.add([key("b")], "outside")
        assert await claims.services("outside") == [key("a")]

        await claims.add([key("b")], "outside")
        assert sorted(await data(stage)) == ["default.a", "default.b"]

    play(scenario, embedded=True)
