"""What the agent's program does around its halves."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
from prometheus_client import CollectorRegistry

from lbnodeagent.__main__ import pages
from purelb.metrics import new_registry
from purelb.page import Page, keep_serving
from purelb.settings import AgentSettings


def test_a_page_that_cannot_be_served_yet_is_waited_for() -> None:
    """As where the node's address comes after its agent, or the port is that of an agent which is just stopping."""

    async def scene() -> bytes:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            serving = asyncio.create_task(keep_serving(lambda: Page(new_registry(), lambda: None), "127.0.0.1", port))
            await asyncio.sleep(0.1)
            assert not serving.done()
        try:
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(OSError):
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    await asyncio.sleep(0.05)
                writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    assert asyncio.run(scene()).endswith(b"ok\n")


def test_metrics_are_read_nowhere_else_than_where_they_are_to_be() -> None:
    """They name all tenants' Services and VIPs, and on a node's network no NetworkPolicy holds."""

    async def get(host: str, port: int, path: str) -> int:
        async with asyncio.timeout(10), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"http://{host}:{port}{path}") as answer:
                        return answer.status
                await asyncio.sleep(0.05)

    async def scene() -> dict[str, int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environ = {"PURELB_NODE_NAME": "w11", "PURELB_HOST": "127.0.0.1", "PURELB_METRICS_PORT": str(port)}
        settings = AgentSettings.from_environment(environ | {"PURELB_METRICS_HOST": "127.0.0.2"}, [])
        async with asyncio.TaskGroup() as tasks:
            serving = [
                tasks.create_task(page)
                for page in pages(settings, CollectorRegistry(), lambda: "not yet", lambda: None)
            ]
            asked = [
                (host, path) for host in ("127.0.0.1", "127.0.0.2") for path in ("/metrics", "/healthz", "/readyz")
            ]
            answers = {f"{host}{path}": await get(host, port, path) for host, path in asked}
            for one in serving:
                one.cancel()
        return answers

    assert asyncio.run(scene()) == {
        "127.0.0.1/metrics": 404,
        "127.0.0.1/healthz": 200,
        "127.0.0.1/readyz": 503,
        "127.0.0.2/metrics": 200,
        "127.0.0.2/healthz": 200,
        "127.0.0.2/readyz": 503,
    }


def test_over_tls_the_probes_page_has_no_metrics() -> None:
    async def scene() -> tuple[int, int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environ = {"PURELB_NODE_NAME": "w11", "PURELB_HOST": "127.0.0.1", "PURELB_METRICS_PORT": str(port)}
        settings = AgentSettings.from_environment(environ | {"PURELB_METRICS_TLS": "/not/there/yet"}, [])
        plain, sealed = pages(settings, CollectorRegistry(), lambda: None, lambda: None)
        sealed.close()
        async with asyncio.timeout(10), aiohttp.ClientSession() as session:
            serving = asyncio.create_task(plain)
            try:
                while True:
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        where = f"http://127.0.0.1:{port}"
                        async with session.get(f"{where}/metrics") as shown, session.get(f"{where}/healthz") as health:
                            return shown.status, health.status
                    await asyncio.sleep(0.05)
            finally:
                serving.cancel()
                await asyncio.wait([serving])

    assert asyncio.run(scene()) == (404, 200)
