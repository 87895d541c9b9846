"""An API server, and our connection to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from lab.apiserver import ApiServer
from purelb.kube import Kube


class Api:
    """Opens a server and a connection in the event loop of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[ApiServer, Kube]]:
        server = ApiServer()
        await server.start()
        kubeconfig = self._folder / "kubeconfig"
        await asyncio.to_thread(kubeconfig.write_text, yaml.safe_dump(server.kubeconfig()))
        try:
            async with Kube(kubeconfig) as kube:
                yield server, kube
        finally:
            await server.stop()


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path)
