"""Whose token may read the metrics, how long an answer counts, and what strangers can make us ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from purelb import reviews as reviews_module
from purelb.answers import JsonObject
from purelb.errors import UnavailableError
from purelb.kube import core_path, group_path
from purelb.reviews import (
    FRESH,
    MOST,
    NO_TOKEN,
    NOT_ALLOWED,
    STALE,
    STRANGERS,
    TOKENS,
    TOO_MANY,
    UNANSWERED,
    UNKNOWN,
    Refusal,
    Reviews,
    reviewing,
)
from tests.purelb.conftest import Api
from tests.purelb.liar import hang, liar, write_kubeconfig

RBAC = "rbac.authorization.k8s.io/v1"


class Server:
    """Answers reviews; ``good`` and ``allowed`` tokens are known."""

    def __init__(self) -> None:
        self.good = {"prometheus", "somebody"}
        self.allowed = {"prometheus"}
        self.asked = 0
        self.is_away = False
        self.now = 100.0
        self.reviews = Reviews(self.create, lambda: self.now)

    async def create(self, path: str, body: JsonObject) -> JsonObject:
        self.asked += path == TOKENS
        if self.is_away:
            raise UnavailableError("away")
        spec: dict[str, Any] = body["spec"]
        if path == TOKENS:
            is_good = spec["token"] in self.good
            return {"status": {"authenticated": is_good, "user": {"username": spec["token"]} if is_good else {}}}
        assert spec["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
        return {"status": {"allowed": spec["user"] in self.allowed}}

    def asks(self, header: str) -> Any:
        return asyncio.run(self.reviews.refusal(header))


def test_who_may_get_metrics_reads_them_and_nobody_else_does() -> None:
    server = Server()

    answers = []
    for header in ("Bearer prometheus", "bearer somebody", "Bearer stranger", "Basic cHJv", "Bearer ", ""):
        answers.append(server.asks(header))
        server.now += STRANGERS

    assert answers == [None, NOT_ALLOWED, UNKNOWN, NO_TOKEN, NO_TOKEN, NO_TOKEN]


def test_an_answer_counts_for_a_minute() -> None:
    server = Server()
    server.asks("Bearer prometheus")
    server.allowed.clear()

    server.now += FRESH - 1
    assert server.asks("Bearer prometheus") is None
    assert server.asked == 1

    server.now += 1
    assert server.asks("Bearer prometheus") == NOT_ALLOWED


def test_who_could_read_goes_on_while_the_api_server_is_away_but_not_for_ever() -> None:
    server = Server()
    server.asks("Bearer prometheus")
    server.is_away = True

    server.now += STALE - 1
    assert server.asks("Bearer prometheus") is None
    assert server.asks("Bearer somebody") == UNANSWERED

    server.now += 1
    assert server.asks("Bearer prometheus") == UNANSWERED


def test_an_api_server_that_says_nothing_is_given_up_before_prometheus_gives_us_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * reviews_module.PATIENCE < 10
    monkeypatch.setattr(reviews_module, "PATIENCE", 0.1)

    async def scenario() -> Refusal | None:
        async with liar(hang) as server:
            write_kubeconfig(tmp_path / "kubeconfig", server.url)
            async with reviewing(tmp_path / "kubeconfig", "test") as reviews, asyncio.timeout(5):
                return await reviews.refusal("Bearer prometheus")

    assert asyncio.run(scenario()) == UNANSWERED


def test_strangers_make_us_ask_five_times_a_second_and_keep_nobody_out_who_could_read() -> None:
    server = Server()
    server.asks("Bearer prometheus")
    server.now += FRESH

    refusals = [server.asks(f"Bearer {number}") for number in range(1000)]

    assert refusals == [UNKNOWN] + [TOO_MANY] * 999
    assert server.asks("Bearer prometheus") is None
    assert server.asked == 3


def test_what_is_remembered_has_a_bound() -> None:
    server = Server()
    for number in range(MOST + 1):
        server.asks(f"Bearer {number}")
        server.now += STRANGERS
    asked = server.asked

    server.asks(f"Bearer {MOST}")
    assert server.asked == asked
    server.asks("Bearer 0")
    assert server.asked == asked + 1


def account(name: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def role() -> JsonObject:
    rule = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    return {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "reads-metrics"}, "rules": [rule]}


@pytest.mark.timeout(60)
def test_an_api_server_knows_a_service_account_s_token_and_what_it_may(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (server, kube):
            for name in ("prometheus", "somebody"):
                await kube.create(core_path("serviceaccounts", "default"), account(name))
            await kube.create(group_path(RBAC, "clusterroles"), role())
            binding = {
                "apiVersion": RBAC,
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "reads-metrics"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads-metrics"},
                "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "default"}],
            }
            await kube.create(group_path(RBAC, "clusterrolebindings"), binding)
            now = [0.0]
            reviews = Reviews(kube.create, lambda: now[0])

            async def asked(token: str) -> Any:
                now[0] += FRESH
                return await reviews.refusal(f"Bearer {token}")

            token = server.service_account_token("default", "prometheus")
            async with asyncio.timeout(20):  # a real server takes a moment to hear of the binding
                while await asked(token) is not None:
                    await asyncio.sleep(0.1)
            assert await asked(server.service_account_token("default", "somebody")) == NOT_ALLOWED
            assert await asked("no-token-of-anybody") == UNKNOWN

    asyncio.run(scenario())
