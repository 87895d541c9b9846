"""Faults on demand, through the handle and through the admin port."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from kubedouble import ApiServer, Faults
from kubedouble.testing.clusters import Api, Embedded, Watcher
from objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def faults(embedded: Embedded) -> Iterator[Faults]:
    yield embedded.server.faults
    embedded.server.faults.clear()


@pytest.fixture
def api(embedded: Embedded) -> Api:
    """With connections of the test's own: faults cut those that stand."""
    return embedded.api.as_user(embedded.api.token)


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


def test_a_quota_refuses_what_is_new_and_admission_every_write(api: Api, faults: Faults) -> None:
    api.post(MAPS, config_map("before")).ok()

    quota = faults.add("quota")
    assert "exceeded quota: " in api.post(MAPS, config_map("new")).refused(403)
    api.merge(f"{MAPS}/before", {"data": {"a": "b"}}).ok()
    faults.clear(quota)

    faults.add("admission")
    for answer in (api.post(MAPS, config_map("new")), api.merge(f"{MAPS}/before", {}), api.delete(f"{MAPS}/before")):
        assert "denied request" in answer.refused(422)
    assert api.get(f"{MAPS}/before").status == 200
    faults.clear()
    api.delete(f"{MAPS}/before").ok()


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


def _until_cut(watch: Iterable[object]) -> Iterator[object]:
    yield from watch
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


@pytest.mark.parametrize("code", [401, 403, 404])
def test_refusals_have_kubernetes_own_reasons(api: Api, faults: Faults, code: int) -> None:
    faults.status(code, resource="configmaps", count=1)

    answer = api.get(MAPS)

    assert (answer.status, answer.body["reason"]) == (
        code,
        {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}[code],
    )


def test_somebody_else_answers(api: Api, faults: Faults) -> None:
    faults.add("html", resource="configmaps", count=1)
    faults.add("redirect", resource="configmaps", count=1)

    page, elsewhere = api.get(MAPS), api.get(MAPS)

    assert (page.status, page.headers["Content-Type"][:9], page.body[:9]) == (200, "text/html", "<!DOCTYPE")
    assert (elsewhere.status, elsewhere.headers["Location"]) == (302, "https://login.invalid/")


@pytest.mark.parametrize("kind", ["broken-line", "cut-line"])
def test_a_watch_tells_half_an_event(api: Api, faults: Faults, kind: str) -> None:
    broken = faults.add(kind)
    assert api.get(MAPS).status == 200

    with api.watch(MAPS) as watch, pytest.raises(json.JSONDecodeError):
        next(watch)

    faults.clear(broken)
    with api.watch(MAPS, resourceVersion=api.get(MAPS).ok()["metadata"]["resourceVersion"]):
        api.post(MAPS, config_map(f"after-{kind}")).ok()


def test_a_half_open_connection_says_nothing_and_stays(api: Api, faults: Faults) -> None:
    with api.watch(MAPS, resourceVersion="0", timeoutSeconds="1") as watch:
        connection = api._connection(timeout=0.3)
        connection.request("GET", MAPS, headers=api._headers({}))
        assert connection.getresponse().read()
        half = faults.add("half-open")
        faults.clear(half)
        api.as_user(api.token).post(MAPS, config_map("unheard")).ok()

        connection.request("GET", MAPS, headers=api._headers({}))
        with pytest.raises(TimeoutError):
            connection.getresponse()
        with pytest.raises(TimeoutError):
            _read_all(watch, 1.5)
        connection.close()


def _read_all(watch: Watcher, seconds: float) -> None:
    """Everything that a watch still tells. Raises TimeoutError if it then neither goes on nor ends."""
    connection = watch._answer.fp.raw._sock  # type: ignore[attr-defined]
    connection.settimeout(seconds)
    while watch._answer.readline():
        continue


def test_a_reset_is_a_reset(api: Api, faults: Faults) -> None:
    faults.add("reset", resource="configmaps")
    connection = api._connection()
    connection.request("GET", MAPS, headers=api._headers({}))

    with pytest.raises(ConnectionResetError):
        connection.getresponse()


def test_a_restart_refuses_then_forbids_then_serves(api: Api, faults: Faults) -> None:
    version = api.get(MAPS).ok()["metadata"]["resourceVersion"]
    api.post(MAPS, config_map("before-restart")).ok()
    seen: list[object] = []

    faults.restart(refusing=0.3, loading=0.3)
    deadline = time.monotonic() + 5
    while seen[-1:] != [200] and time.monotonic() < deadline:
        try:
            now: object = api.as_user(api.token).get(MAPS).status
        except OSError as error:
            now = type(error)
        if now is not ConnectionResetError and now not in seen:
            seen.append(now)

    assert seen == [ConnectionRefusedError, 403, 200]
    api = api.as_user(api.token)
    assert api.get(MAPS, resourceVersion=version, resourceVersionMatch="Exact").status == 410


def test_a_restart_may_forbid_one_program_alone(api: Api, faults: Faults) -> None:
    faults.restart(refusing=0.1, loading=0.5, user_agent="somebody-else")
    deadline = time.monotonic() + 5
    seen: list[int] = []
    while not seen and time.monotonic() < deadline:
        try:
            seen.append(api.as_user(api.token).get(MAPS).status)
        except ConnectionError:
            continue

    assert [(one.kind, one.code, one.user_agent) for one in faults.active()] == [("status", 403, "somebody-else")]
    assert seen == [200]


def test_an_older_snapshot_brings_back_objects_and_versions(api: Api, faults: Faults) -> None:
    api.post(MAPS, config_map("kept", a="1")).ok()
    api.post(MAPS, config_map("lost")).ok()
    version = api.get(MAPS).ok()["metadata"]["resourceVersion"]
    service: dict[str, Any] = {"metadata": {"name": "later"}, "spec": {"ports": [{"port": 80}]}}
    faults.remember()
    api.merge(f"{MAPS}/kept", {"data": {"a": "2"}}).ok()
    api.delete(f"{MAPS}/lost").ok()
    api.post(MAPS, config_map("new")).ok()
    ip = api.post("/api/v1/namespaces/default/services", service).ok()["spec"]["clusterIP"]
    future = api.get(MAPS).ok()["metadata"]["resourceVersion"]

    faults.go_back()

    api = api.as_user(api.token)  # on a connection of its own: the others were cut
    listing = api.get(MAPS).ok()
    assert listing["metadata"]["resourceVersion"] == version
    found = {item["metadata"]["name"]: item.get("data") for item in listing["items"]}
    assert found["kept"] == {"a": "1"}
    assert "lost" in found
    assert "new" not in found
    again = {**service, "spec": {**service["spec"], "clusterIP": ip}}
    api.post("/api/v1/namespaces/default/services", again).ok()
    with api.watch(MAPS, resourceVersion=future) as watch:
        api.post(MAPS, config_map("in-its-past")).ok()
        while int(_version(api)) < int(future):
            api.merge(f"{MAPS}/kept", {"data": {"a": str(time.monotonic())}}).ok()
        api.post(MAPS, config_map("now")).ok()
        assert next(watch)["object"]["metadata"]["name"] == "now"


def _version(api: Api) -> str:
    version: str = api.get(MAPS).ok()["metadata"]["resourceVersion"]
    return version


def test_without_a_snapshot_there_is_no_way_back() -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        ApiServer().faults.go_back()


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
    assert ask("POST", "/remember")[0] == 200
    assert ask("POST", "/go-back")[0] == 200
    assert ask("POST", "/restart", {"refusing": 0.1, "loading": 0.1})[0] == 200
    assert ask("POST", "/restart", {"for": 1})[0] == 400
    assert ask("GET", "/nothing")[0] == 404
