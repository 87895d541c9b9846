"""What programs take at their start, and what an outage leaves behind: connections refer to each other in circles."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

from purelb import memory
from purelb.recovery import Recovery

NEEDLESS = (
    "aiohttp.web_app",  # the framework for sites
    "frozenlist._frozenlist",  # brings the library of C++
    "google.protobuf",
    "grpc",
    "http.server",
    "importlib.metadata",  # brings zipfile and csv
    "jsonpointer",  # of jsonpatch
    "kubernetes",
    "lbnodeagent.flows.keeper",  # and all that keeps connections
    "pynetbox",
    "pyroute2",  # all of it; its messages are needed
    "requests",
    "unittest",  # brings argparse
    "yaml.constructor",  # of yaml
)
"""Large ones that came in once, each by an import that looked harmless."""


@pytest.mark.parametrize("program", ["lbnodeagent", "allocator"])
def test_a_program_that_starts_does_without_what_only_some_clusters_need(program: str) -> None:
    code = f"import sys, {program}.__main__; print([name for name in {NEEDLESS!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_what_comes_in_later_is_there_for_whoever_uses_it() -> None:
    code = "import purelb.kopfrunner, yaml, jsonpatch; print(yaml.safe_load('1'), jsonpatch.make_patch({}, {'a': 1}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == '1 [{"op": "add", "path": "/a", "value": 1}]\n'


@pytest.mark.parametrize("moved", ["", "kopf._core.reactor.running"])
def test_the_parts_of_kopf_are_those_of_the_whole_also_of_a_release_that_has_them_elsewhere(moved: str) -> None:
    code = f"""
import sys

class Moved:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {moved!r}:
            sys.meta_path.remove(Moved)
            raise ImportError(name)

sys.meta_path.insert(0, Moved)
from purelb import light_kopf
print("kopf" in sys.modules)
import kopf
names = ("ConnectionInfo", "OperatorRegistry", "OperatorSettings", "on", "spawn_tasks")
print(all(getattr(light_kopf, name) is getattr(kopf, name) for name in names))
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [str(bool(moved)), "True"]


class Circle:
    """As a TLS connection and its protocol are."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_before_a_recovery_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "AFTERWARDS", 0.0)

    async def scenario() -> None:
        recovery = Recovery()
        tidying = asyncio.create_task(memory.tidy(recovery.wait))
        for _ in range(2):
            gone = weakref.ref(Circle())
            assert gone() is not None
            await asyncio.sleep(0)
            recovery.is_back()
            async with asyncio.timeout(5):
                while gone() is not None:
                    await asyncio.sleep(0.01)
        tidying.cancel()

    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()


HOLES = """
import ctypes
import mmap
from purelb import memory

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * mmap.PAGESIZE

memory.settle()
kept = [bytes(3000) for _ in range(20_000)]
kept = kept[::50]
before = resident()
memory.give_back()
print(before - resident(), hasattr(ctypes.CDLL(None), "malloc_trim"))
"""


def test_what_is_free_between_what_is_kept_goes_back_to_the_machine() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)

    given_back, can_trim = done.stdout.split()
    assert int(given_back) > 40_000_000 or can_trim == "False"


def test_it_does_so_also_while_nothing_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY", 0.001)
    times = 0

    def give_back() -> None:
        nonlocal times
        times += 1

    monkeypatch.setattr(memory, "give_back", give_back)

    async def scenario() -> None:
        tidying = asyncio.create_task(memory.tidy(Recovery().wait))
        async with asyncio.timeout(5):
            while times < 3:
                await asyncio.sleep(0.001)
        tidying.cancel()

    asyncio.run(scenario())


def test_a_program_settles_with_any_c_library() -> None:
    memory.settle()
    gc.unfreeze()


def test_a_tls_connection_keeps_no_more_room_than_it_needs() -> None:
    code = """
import asyncio, ssl
from asyncio.sslproto import SSLProtocol
from purelb import memory

async def room():
    loop = asyncio.get_running_loop()
    protocol = SSLProtocol(loop, asyncio.Protocol(), ssl.create_default_context(), loop.create_future())
    return len(protocol.get_buffer(-1))

memory.settle()
print(asyncio.run(room()))
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert int(done.stdout) == memory.TLS_BUFFER
