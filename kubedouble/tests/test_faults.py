"""Faults on demand, through the handle and through the admin port."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from kubedouble import Faults
from kubedouble.testing.clusters import Api, Embedded
from objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def faults(embedded: Embedded) -> Iterator[Faults]:
    yield embedded.server.faults
    embedded.server.faults.clear()


@pytest.fixture
def api(embedded: Embedded) -> Api:
    return embedded.api


def test_a_status_is_answered_as_often_as_asked(api: Api, faults: Faults) -> None:
    faults.status(429, retry_after=3, resource="configmaps", verb="list", count=2)

    first, second, third = (api.get(MAPS) for _ in range(3))

    assert (first.status, second.status, third.status) == (429, 429, 200)
    assert first.headers["Retry-After"] == "3"
    assert first.body["details"]["retryAfterSeconds"] == 3


@pytest.mark.parametrize(
    ("code", "reason"), [(409, "Conflict"), (410, "Expired"), (500, "InternalError"), (503, "ServiceUnavailable")]
)
def test_statuses_carry_their_reason(api: Api, faults: Faults, code: int, reason: str) -> None:
    faults.status(code, method="GET", namespace="default", name="a")

    answer = api.get(f"{MAPS}/a")

    assert (answer.status, answer.body["reason"], answer.body["code"]) == (code, reason, code)
    assert api.get(MAPS).status == 200


def test_a_fault_meets_only_whom_it_names(api: Api, faults: Faults) -> None:
    faults.status(500, user_agent="someone-else")
    faults.status(500, subresource="status")
    faults.status(500, resource="services")

    assert api.get(MAPS).status == 200
    assert api.get("/api/v1/namespaces/default/services").status == 500


def test_slow_answers_come_late(api: Api, faults: Faults) -> None:
    faults.slow(150, resource="configmaps")

    start = time.monotonic()
    assert api.get(MAPS).status == 200

    assert time.monotonic() - start >= 0.15


def test_a_hanging_request_gets_no_answer_while_others_do(api: Api, faults: Faults) -> None:
    faults.hang(resource="secrets", count=1)
    hanging = threading.Thread(target=_expect_timeout, args=(api,))

    hanging.start()

    assert api.get(MAPS).status == 200
    hanging.join(5)
    assert not hanging.is_alive()


def _expect_timeout(api: Api) -> None:
    connection = api._connection(timeout=0.3)
    connection.request("GET", "/api/v1/secrets", headers=api._headers({}))
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_read_only_refuses_writes(api: Api, faults: Faults) -> None:
    faults.read_only()

    assert api.post(MAPS, config_map("refused")).status == 403
    assert api.get(MAPS).status == 200


def test_down_cuts_everything_until_it_is_over(api: Api, faults: Faults) -> None:
    with api.watch(MAPS) as watch:
        down = faults.down()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            list(_until_cut(watch))
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            api.as_user(api.token).get(MAPS)
        faults.clear(down)

    assert api.as_user(api.token).get(MAPS).status == 200


def _until_cut(watch: object) -> Iterator[object]:
    yield from watch  # type: ignore[misc]
    raise ConnectionError("the stream ended")


def test_dropped_watches_end_and_can_be_resumed(api: Api, faults: Faults) -> None:
    version = api.get(MAPS).ok()["metadata"]["resourceVersion"]
    with api.watch(MAPS, resourceVersion=version) as watch:
        assert _eventually_dropped(faults) >= 1
        assert list(watch) == []

    api.post(MAPS, config_map("meanwhile")).ok()

    with api.watch(MAPS, resourceVersion=version) as watch:
        assert next(watch)["object"]["metadata"]["name"] == "meanwhile"


def _eventually_dropped(faults: Faults) -> int:
    deadline = time.monotonic() + 5
    while not (dropped := faults.drop_watches()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return dropped


def test_an_expired_version_is_410_in_the_stream(api: Api, faults: Faults) -> None:
    version = api.get(MAPS).ok()["metadata"]["resourceVersion"]
    api.post(MAPS, config_map("later")).ok()
    faults.expire()

    with api.watch(MAPS, resourceVersion=version) as watch:
        event = next(watch)

    assert watch.status == 200
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert api.get(MAPS, resourceVersion=version, resourceVersionMatch="Exact").status == 410


def test_an_unknown_fault_is_refused(faults: Faults) -> None:
    with pytest.raises(ValueError, match="unknown fault 'flood'"):
        faults.add("flood")


def test_the_admin_port_does_the_same(embedded: Embedded, api: Api, faults: Faults) -> None:
    url = embedded.loop.run(embedded.server.listen_admin("127.0.0.1", 0))

    def ask(method: str, path: str, body: object = None) -> tuple[int, object]:
        raw = json.dumps(body).encode() if body is not None else None
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request(method, path, raw)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    status, made = ask("POST", "/faults", {"kind": "status", "code": 500, "resource": "configmaps"})
    assert status == 201
    assert isinstance(made, dict)
    assert api.get(MAPS).status == 500
    with urlopen(Request(f"{url}/faults"), timeout=5) as answer:
        assert [fault["hits"] for fault in json.loads(answer.read())] == [1]
    assert ask("DELETE", f"/faults/{made['id']}")[0] == 200
    assert api.get(MAPS).status == 200
    assert ask("POST", "/faults", {"kind": "flood"})[0] == 400
    assert ask("POST", "/drop-watches") == (200, {"dropped": 0})
    assert ask("POST", "/expire")[0] == 200
    assert ask("GET", "/nothing")[0] == 404
