"""Plays the scenes with all rights and with each one missing: `python -m tests.install.play allocator|lbnodeagent`.

Prints one JSON line per cell: what was seen, granted and refused. A process of its own, because of a kopf that was
refused tasks stay behind that don't end when they are cancelled, and because two programs play on two cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Final, NamedTuple

from kubedouble import ApiServer
from tests.allocator.stage import staged
from tests.install import agent_scene, allocator_scene
from tests.install.rights import Cell, cells, install

AT_ONCE: Final = 4
"""Allocators that run at the same time, each in a cluster of its own."""
PATIENCE: Final = 1.5
"""Seconds that an allocator without a right gets for each fact."""


class Outcome(NamedTuple):
    """What an account's scene came to; requests are `group/resource verb`."""

    seen: frozenset[str]
    granted: frozenset[str]
    refused: frozenset[str]


def outcome(seen: set[str], api: ApiServer, account: str) -> Outcome:
    user = f"system:serviceaccount:purelb:{account}"
    granted, refused = (
        frozenset(Cell("", asked.group, asked.resource, asked.verb).request for asked in record if asked.user == user)
        for record in (api.authorizer.granted, api.authorizer.refused)
    )
    return Outcome(frozenset(seen), granted, refused)


async def _allocator(without: Cell | None, gate: asyncio.Semaphore) -> Outcome:
    async with gate, staged(embedded=True) as stage:
        kubeconfig = await install(stage, "allocator", "allocator", without)
        scene = allocator_scene.Scene(stage, PATIENCE if without else None)
        await scene.play(kubeconfig)
        return outcome(scene.seen, stage.api, "allocator")


async def allocators() -> list[Outcome]:
    """With all rights, then without each of `cells`, in their order."""
    gate = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(_allocator(cell, gate) for cell in (None, *cells("allocator"))))


async def agents() -> list[Outcome]:
    """Likewise, all on one API server."""
    async with staged(embedded=True) as stage:
        playing = []
        for number, cell in enumerate((None, *cells("lbnodeagent"))):
            kubeconfig = await install(stage, "lbnodeagent", f"agent-{number}", cell)
            playing.append(agent_scene.Agent(f"agent-{number}", number, kubeconfig))
        await agent_scene.Scene(stage, playing).play()
        return [outcome(agent.seen, stage.api, agent.account) for agent in playing]


async def main(program: str) -> None:
    for one in await (allocators() if program == "allocator" else agents()):
        print(json.dumps([sorted(part) for part in one]))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
