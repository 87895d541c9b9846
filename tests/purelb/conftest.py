"""An API server, and our connection to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from kubedouble import ApiServer
from kubedouble.testing.servers import Server, api_server
from purelb.kube import Kube


class Api:
    """Opens a server and a connection in the event loop of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Server, Kube]]:
        """Whichever server there is."""
        async with api_server() as server, self._connect(server) as kube:
            yield server, kube

    @asynccontextmanager
    async def embedded(self) -> AsyncIterator[tuple[ApiServer, Kube]]:
        """The server that fails when it is told to."""
        async with api_server(embedded=True) as server, self._connect(server) as kube:
            assert isinstance(server, ApiServer)
            yield server, kube

    @asynccontextmanager
    async def _connect(self, server: Server) -> AsyncIterator[Kube]:
        kubeconfig = self._folder / "kubeconfig"
        await asyncio.to_thread(kubeconfig.write_text, yaml.safe_dump(server.kubeconfig()))
        async with Kube(kubeconfig) as kube:
            yield kube


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path)
