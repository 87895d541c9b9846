"""Every failure of the API server, and of who speaks in its place, is a KubeError; what can be mended at once, is."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kubedouble import make_tls
from purelb.answers import LONGEST_LINE
from purelb.errors import ForbiddenError, KubeError, NotFoundError, SettingsError, UnauthorizedError, UnavailableError
from purelb.kube import LONGEST_ANSWER, Kube, core_path
from purelb.pace import Pace
from purelb.rights import PATIENCE
from tests.purelb.liar import Answer, Liar, body_of, hang, http, item, liar, reset, status, stream, write_kubeconfig

MAPS = core_path("configmaps", "default")
ONE = core_path("configmaps", "default", "one")
ADDED = json.dumps({"type": "ADDED", "object": body_of()}).encode() + b"\n"


async def endless(writer: asyncio.StreamWriter) -> None:
    """A body, and a line, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b"x" * 1_000_000)
        await writer.drain()


async def half_a_watch(writer: asyncio.StreamWriter) -> None:
    """An event and half a one, then RST."""
    writer.write(stream(ADDED, b'{"type": "ADD')[: -len(b"0\r\n\r\n")])
    await writer.drain()
    await asyncio.sleep(0.05)
    await reset(writer)


FAULTS: dict[str, Answer] = {
    "an HTML page": http("200 OK", b"<html>Please log in</html>", {"Content-Type": "text/html"}),
    "a redirection": http("302 Found", b"", {"Location": "https://example.invalid/login"}),
    "nothing at all": http("200 OK", b""),
    "another kind of JSON": http("200 OK", b'{"status": "ok"}'),
    "no JSON": http("200 OK", b'{"kind": "ConfigMap", "metadata": {]'),
    "half the body": http("200 OK", b'{"kind": "Config', {"Content-Length": "1000"}),
    "a body cut at its end": http("200 OK", b'{"kind": "Config'),
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a body that isn't compressed as it says": http("200 OK", b"{}", {"Content-Encoding": "gzip"}),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "the end": b"",
    "a reset in the middle": reset,
    "a body without end": endless,
    "a proxy's 404": http("404 Not Found", b"default backend - 404"),
    "a proxy's 502": http("502 Bad Gateway", b"<html>"),
}


def play(
    tmp_path: Path, answers: list[Answer], scene: Callable[[Liar, Kube], Awaitable[None]], patience: float = 10.0
) -> None:
    """``patience``: seconds that one request may take."""

    async def run() -> None:
        async with liar(*answers) as server:
            write_kubeconfig(tmp_path / "kubeconfig", server.url, token="first")
            async with Kube(tmp_path / "kubeconfig", pace=Pace(request=patience)) as kube:
                await scene(server, kube)

    asyncio.run(run())


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("verb", ["get", "list", "create", "patch", "delete"])
def test_a_request_that_goes_wrong_is_an_answer_that_is_away(tmp_path: Path, name: str, verb: str) -> None:
    async def scene(_: Liar, kube: Kube) -> None:
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: kube.get(ONE),
            "list": lambda: kube.list(MAPS),
            "create": lambda: kube.create(MAPS, body_of()),
            "patch": lambda: kube.patch(ONE, {}),
            "delete": lambda: kube.delete(ONE),
        }
        with pytest.raises(UnavailableError) as error:
            await asks[verb]()
        assert type(error.value) is UnavailableError
        assert len(str(error.value)) < 600, "an event has to hold it"

    play(tmp_path, [FAULTS[name]], scene)


WATCHES: dict[str, Answer] = {
    **{name: answer for name, answer in FAULTS.items() if name != "nothing at all"},  # so a watch ends
    "a line that is no JSON": stream(ADDED, b'{"type": "ADDED", "obj\n', ADDED),
    "a line that is no event": stream(ADDED, b'{"kind": "ConfigMap"}\n'),
    "half an event at the end": stream(ADDED, ADDED[:20]),
    "a reset in the middle of an event": half_a_watch,
    "an error that says nothing": stream(b'{"type": "ERROR", "object": {}}\n'),
}


@pytest.mark.parametrize("name", WATCHES)
def test_a_watch_that_goes_wrong_tells_so(tmp_path: Path, name: str) -> None:
    async def scene(_: Liar, kube: Kube) -> None:
        async def follow() -> None:
            async for event in kube.watch(MAPS, "1", timeoutSeconds="0"):
                assert event["type"] == "BOOKMARK" or event["object"]["metadata"]["name"] == "one"

        with pytest.raises(UnavailableError):
            await follow()

    play(tmp_path, [WATCHES[name]], scene, patience=0.5)


def test_a_line_or_a_body_without_end_costs_no_more_than_the_longest_that_are_true() -> None:
    assert LONGEST_LINE <= 2**24
    assert LONGEST_ANSWER <= 2**26


def test_a_server_that_never_answers_is_waited_for_as_long_as_was_said(tmp_path: Path) -> None:
    async def scene(_: Liar, kube: Kube) -> None:
        with pytest.raises(UnavailableError, match=r"did not answer GET .* in 0.2 s"):
            await kube.request("GET", ONE, timeout=0.2)
        with pytest.raises(UnavailableError, match="neither goes on nor ends"):
            await anext(kube.watch(MAPS, "1"))

    play(tmp_path, [hang], scene, patience=0.2)


def test_a_watch_that_outlasts_its_time_is_given_up_though_its_connection_stands(
    tmp_path: Path,
) -> None:
    async def mute(writer: asyncio.StreamWriter) -> None:
        writer.write(stream(ADDED)[: -len(b"0\r\n\r\n")])
        await hang(writer)

    async def scene(_: Liar, kube: Kube) -> None:
        watch = kube.watch(MAPS, "1", timeoutSeconds="0")
        assert [(await anext(watch))["type"] for _ in range(2)] == ["BOOKMARK", "ADDED"]
        with pytest.raises(UnavailableError, match="neither goes on nor ends"):
            await anext(watch)

    play(tmp_path, [mute], scene, patience=0.3)


def test_pages_that_go_round_in_a_circle_are_left(tmp_path: Path) -> None:
    page = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "1", "continue": "again"}, "items": []}

    async def scene(server: Liar, kube: Kube) -> None:
        with pytest.raises(UnavailableError, match="again and again"):
            await kube.list(MAPS)
        assert len(server.requests) == 2

    play(tmp_path, [http("200 OK", json.dumps(page).encode())], scene)


def test_a_name_that_no_server_knows_and_a_port_that_nobody_serves(tmp_path: Path) -> None:
    async def ask(url: str) -> None:
        write_kubeconfig(tmp_path / "kubeconfig", url)
        async with Kube(tmp_path / "kubeconfig") as kube:
            with pytest.raises(UnavailableError, match="can't be reached"):
                await kube.get(ONE)
            with pytest.raises(UnavailableError, match="broke off"):
                await anext(kube.watch(MAPS, "1"))

    for url in ("http://nowhere.invalid:6443", "http://127.0.0.1:1", "gopher://127.0.0.1:1"):
        asyncio.run(ask(url))
    with pytest.raises(SettingsError, match="no way to the Kubernetes API"):
        asyncio.run(ask("http://[::1"))


# --- who we are ------------------------------------------------------------------------------------------------------


def test_after_a_401_the_credentials_are_read_again_and_it_is_tried_once_more(tmp_path: Path) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        write_kubeconfig(tmp_path / "kubeconfig", server.url, token="second")

        assert (await kube.get(ONE))["metadata"]["name"] == "one"

        assert server.tokens() == ["first", "second"]

    play(tmp_path, [status(401, "Unauthorized"), item()], scene)


def test_a_watch_too_begins_once_more_after_a_401(tmp_path: Path) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        assert (await anext(kube.watch(MAPS, "1")))["type"] == "BOOKMARK"
        assert len(server.requests) == 2

    play(tmp_path, [status(401, "Unauthorized"), stream(ADDED)], scene)


def test_a_watch_that_is_forbidden_is_a_missing_right_until_one_begins(tmp_path: Path) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        now = asyncio.get_running_loop().time()
        with pytest.raises(ForbiddenError) as refused:
            await anext(kube.watch(MAPS, "1"))
        kube.rights.failed("WATCH", MAPS, refused.value, now + PATIENCE + 1)
        assert kube.rights.missing(now + PATIENCE + 1) == ("watch configmaps",)

        await anext(kube.watch(MAPS, "1"))

        assert kube.rights.missing(now + PATIENCE + 1) == ()

    play(tmp_path, [status(403, "Forbidden", 'User "u" cannot watch resource "configmaps"'), stream(ADDED)], scene)


def test_a_401_that_stays_is_not_asked_about_again_and_again(tmp_path: Path) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        with pytest.raises(UnauthorizedError, match="no"):
            await kube.patch(ONE, {})
        assert len(server.requests) == 2

    play(tmp_path, [status(401, "Unauthorized")], scene)


def test_many_requests_that_meet_a_401_renew_the_credentials_once(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    calls = tmp_path / "calls"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "it"}}
    plugin.write_text(f"#!/bin/sh\necho called >> {calls}\necho '{json.dumps(credential)}'\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)

    async def run() -> None:
        async with liar(*[status(401, "Unauthorized")] * 8, item()) as server:
            exec_ = {"apiVersion": credential["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
            write_kubeconfig(tmp_path / "kubeconfig", server.url, exec=exec_)
            async with Kube(tmp_path / "kubeconfig") as kube:
                await asyncio.gather(*(kube.get(ONE) for _ in range(8)))

    asyncio.run(run())

    assert calls.read_text().count("called") <= 3


def test_a_403_is_no_question_of_who_we_are(tmp_path: Path) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        with pytest.raises(ForbiddenError):
            await kube.get(ONE)
        assert len(server.requests) == 1

    play(tmp_path, [status(403, "Forbidden")], scene)


@pytest.mark.parametrize("text", ["", "not: [a kubeconfig", "[]", "apiVersion: v1"])
def test_a_kubeconfig_that_is_being_written_leaves_the_token_that_was_known(tmp_path: Path, text: str) -> None:
    async def scene(server: Liar, kube: Kube) -> None:
        (tmp_path / "kubeconfig").write_text(text)
        with pytest.raises(UnavailableError, match="no way to the Kubernetes API"):
            await kube.get(ONE)
        assert (await kube.get(ONE))["metadata"]["name"] == "one"
        assert server.tokens() == ["first", "first"]

    play(tmp_path, [status(401, "Unauthorized"), item()], scene)


def test_a_plugin_that_fails_is_no_token_for_now_and_no_way_at_the_start(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    good = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "good"}}
    plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(good))})\n")
    plugin.chmod(0o700)

    async def run() -> None:
        async with liar(status(401, "Unauthorized"), item()) as server:
            exec_ = {"apiVersion": good["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
            write_kubeconfig(tmp_path / "kubeconfig", server.url, exec=exec_)
            async with Kube(tmp_path / "kubeconfig") as kube:
                plugin.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
                with pytest.raises(UnavailableError, match="plugin"):
                    await kube.get(ONE)
                assert (await kube.get(ONE))["metadata"]["name"] == "one"
                assert server.tokens() == ["good", "good"]
            with pytest.raises(SettingsError, match="plugin"):
                await Kube(tmp_path / "kubeconfig").__aenter__()

    asyncio.run(run())


def test_a_certificate_authority_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    old, new, ca = make_tls(["127.0.0.1"]), make_tls(["127.0.0.1"]), tmp_path / "ca.crt"
    ca.write_bytes(old.ca)

    async def run() -> None:
        async with liar(item(), tls=new.context(tmp_path / "server")) as server:
            write_kubeconfig(tmp_path / "kubeconfig", server.url, ca, token="first")
            async with Kube(tmp_path / "kubeconfig") as kube:
                with pytest.raises(UnavailableError, match="certificate verify failed"):
                    await kube.get(ONE)
                ca.write_bytes(b"")
                with pytest.raises(UnavailableError, match="a certificate can't be read"):
                    await kube.get(ONE)
                ca.write_bytes(new.ca)
                assert (await kube.get(ONE))["metadata"]["name"] == "one"

    asyncio.run(run())


def test_tls_where_none_is_spoken_and_none_where_it_is(tmp_path: Path) -> None:
    tls, ca = make_tls(["127.0.0.1"]), tmp_path / "ca.crt"
    ca.write_bytes(tls.ca)

    async def ask(url: str) -> None:
        write_kubeconfig(tmp_path / "kubeconfig", url, ca)
        async with Kube(tmp_path / "kubeconfig") as kube:
            with pytest.raises(UnavailableError):
                await kube.request("GET", ONE, timeout=0.5)

    async def run() -> None:
        async with liar(item()) as plain, liar(item(), tls=tls.context(tmp_path / "server")) as secret:
            await ask(plain.url.replace("http:", "https:"))
            await ask(secret.url.replace("https:", "http:"))

    asyncio.run(run())


def test_the_errors_say_what_to_do_next() -> None:
    assert issubclass(UnauthorizedError, UnavailableError), "it is tried again later, as all that is away"
    assert not issubclass(UnauthorizedError, ForbiddenError)
    assert issubclass(NotFoundError, KubeError)
