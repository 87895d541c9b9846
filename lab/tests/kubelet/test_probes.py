"""Probes change their verdict at the thresholds of the manifest."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from lab.kubelet.probes import Probe, Target, Verdict, ask


def _changes(probe: Probe, results: list[bool]) -> list[tuple[int, bool]]:
    verdict = Verdict(probe)
    return [(i, bool(verdict.passes)) for i, result in enumerate(results) if verdict.count(result)]


def test_the_defaults_are_those_of_kubernetes() -> None:
    probe = Probe.parse({"httpGet": {"port": 80}})

    assert probe is not None
    assert (probe.initial_delay, probe.period, probe.timeout) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)
    assert Probe.parse(None) is None


def test_only_failures_in_a_row_count() -> None:
    probe = Probe.parse({"tcpSocket": {"port": 1}, "failureThreshold": 3})
    assert probe is not None

    assert _changes(probe, [True, False, False, True, False, False, False, False]) == [(0, True), (6, False)]


def test_successes_may_have_to_repeat() -> None:
    probe = Probe.parse({"tcpSocket": {"port": 1}, "successThreshold": 2})
    assert probe is not None

    assert _changes(probe, [True, False, True, True]) == [(3, True)]


async def _run_nothing(_: list[str]) -> int:
    return 0


def _ask_on_loopback(action: dict[str, Any], reply: bytes = b"") -> bool:
    """Whether a probe of a pod whose own address answers nobody succeeds, with a server on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply:
            await reader.readline()
            writer.write(reply)
            await writer.drain()
        writer.close()

    async def run() -> bool:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        probe = Probe.parse({kind: {**fields, "port": port} for kind, fields in action.items()})
        assert probe is not None
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            async with server:
                return await ask(probe, Target(own, "127.0.0.2", {}), _run_nothing)
        finally:
            os.close(own)

    return asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a network namespace")
def test_a_probe_asks_the_host_that_it_names_instead_of_the_pod() -> None:
    ok = b"HTTP/1.1 200 OK\r\n\r\n"

    assert _ask_on_loopback({"httpGet": {"host": "127.0.0.1"}}, ok)
    assert _ask_on_loopback({"tcpSocket": {"host": "127.0.0.1"}})
    assert not _ask_on_loopback({"httpGet": {}}, ok)
    assert not _ask_on_loopback({"tcpSocket": {}})
