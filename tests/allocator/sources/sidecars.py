"""Sidecars for tests: the sample one as a process of its own, and ones that misbehave."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from lab.sidecar import Ledger, handlers, serving
from purelb.addresses import AddressRange, parse_range
from purelb.ipam_pb2 import AllocateRequest, ReleaseRequest, StatsRequest

Answer = Callable[[str, Any, Any], Awaitable[Message]]
"""(method, request, context) -> the answer."""


class Sidecar:
    """``python -m lab.sidecar`` over a Unix socket in a directory of its own."""

    def __init__(self, directory: Path, *pools: str) -> None:
        self.socket = directory / "ipam.sock"
        self._state = directory / "state.json"
        self._pools = pools
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        arguments = [f"--socket={self.socket}", f"--state={self._state}", *(f"--pool={pool}" for pool in self._pools)]
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-m", "lab.sidecar", *arguments)
        async with asyncio.timeout(20):
            while not await self._listens():
                await asyncio.sleep(0.05)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return False
        writer.close()
        return True

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def held(self) -> dict[str, list[str]]:
        """What it remembers of the pool ``outside``: addresses by Service."""
        if not self._state.exists():
            return {}
        pools = json.loads(self._state.read_text())
        return {service: entry["ips"] for service, entry in pools.get("outside", {}).items()}


@asynccontextmanager
async def sample(directory: Path, *pools: str) -> AsyncIterator[Sidecar]:
    sidecar = Sidecar(directory, *pools)
    await sidecar.start()
    try:
        yield sidecar
    finally:
        await sidecar.kill()


@asynccontextmanager
async def sample_here(directory: Path, *pools: str) -> AsyncIterator[Path]:
    """The sample sidecar without a process of its own; gives its socket."""
    socket, ranges = directory / "ipam.sock", dict[str, list[AddressRange]]()
    for pool in pools:
        name, _, text = pool.partition("=")
        ranges.setdefault(name, []).append(parse_range(text))
    async with serving(socket, handlers(Ledger(directory / "state.json", ranges))):
        yield socket


@asynccontextmanager
async def playing(socket: Path, answer: Answer) -> AsyncIterator[None]:
    """A sidecar that does what a test says."""

    def method(name: str, asked: type[Message]) -> Any:
        async def serve(request: Message, context: Any) -> Message:
            return await answer(name, request, context)

        return grpc.unary_unary_rpc_method_handler(
            serve,
            request_deserializer=asked.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    kinds: dict[str, type[Message]] = {"Allocate": AllocateRequest, "Release": ReleaseRequest, "Stats": StatsRequest}
    methods = {name: method(name, asked) for name, asked in kinds.items()}
    async with serving(socket, grpc.method_handlers_generic_handler("purelb.ipam.v1.IPAM", methods)):
        yield
