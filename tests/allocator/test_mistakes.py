"""A mistake of ours with one Service, against an API server: the others are served on, and it is once it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from allocator import __main__ as program
from allocator.reconcile.plan import Plan
from allocator.reconcile.review import Reviewer
from purelb.services import ServiceView
from tests.allocator.builders import local
from tests.allocator.stage import Stage, staged, until

MISTAKE = "purelb.io/mistake"


def test_a_review_that_fails_is_counted_and_costs_nobody_else_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, review = CollectorRegistry(), Reviewer.review

    def mistaken(self: Reviewer, service: ServiceView, *args: Any, **more: Any) -> Plan:
        if MISTAKE in service.annotations:
            raise RuntimeError("a mistake of ours")
        return review(self, service, *args, **more)

    monkeypatch.setattr(Reviewer, "review", mistaken)
    monkeypatch.setattr(program, "new_registry", lambda: registry)

    async def is_counted() -> bool:
        return bool(registry.get_sample_value("purelb_allocator_mistakes_total", {"part": "review"}))

    async def scene(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("odd", annotations={MISTAKE: "yes"})
        await stage.service("a")
        assert await stage.addresses_when_given("a") == ["10.1.0.0"]
        assert await stage.addresses("odd") == []
        await until(is_counted)

        await stage.change("odd", {"metadata": {"annotations": {MISTAKE: None}}})
        assert await stage.addresses_when_given("odd") == ["10.1.0.1"]

    async def run() -> None:
        async with staged(embedded=True) as stage, stage.allocator():
            await scene(stage)

    asyncio.run(run())
