"""What holds for every test: no time limit per example, no loop of ours blocked, none that ends with tasks left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

from tests import loops

# A busy machine is no reason to fail. `make soak` tries each law with many more examples.
settings.register_profile("any machine", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "50")))
settings.load_profile("any machine")

LOOPS_OF = ["allocator", "lbnodeagent", "memberlist", "purelb"]
"""Whose coroutines may not block; tests themselves may, and the API double beside them."""

MAY_BLOCK = [
    # Of a pod, kubelet's files in memory, a few bytes; a kubeconfig is for programs outside of a cluster.
    ("purelb/credentials.py", ("login", "renew", "_read", "tls")),
    # Read before a program's loop begins; tests have one already.
    ("purelb/settings.py", ("from_environment",)),
    # The page has a thread and a loop of its own; what the process itself uses is read from /proc.
    ("purelb/page.py", ("_metrics",)),
    # gRPC's loop ends its own thread when the last channel is collected, wherever that happens to be.
    ("threading.py", ("join",)),
]
"""File and functions that are excepted, each for a reason."""


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_a_loop() -> Iterator[None]:
    """A call that waits for a disk, a name or a peer fails where it is made on a running loop."""
    guard = BlockBuster(scanned_modules=LOOPS_OF)
    for call in guard.functions.values():
        for file, functions in MAY_BLOCK:
            call.can_block_in(file, functions)
    guard.activate()
    yield
    guard.deactivate()


@pytest.fixture(autouse=True)
def no_task_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "run", loops.run)
