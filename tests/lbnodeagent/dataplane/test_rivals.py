"""Who answers for a VIP is named if the kernel knows it, and told in any case."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping

import pytest

from lbnodeagent.dataplane import rivals
from lbnodeagent.dataplane.rivals import LOOK, Rivals
from lbnodeagent.errors import KernelError
from lbnodeagent.messages import Peer
from lbnodeagent.tables import Conflict, Mac
from purelb.addresses import IPAddress
from tests.lbnodeagent.scenes import HOST, NOW, VIP

MAC = Mac(bytes.fromhex("5254003c88cb"))
PODS = [Peer("w12", str(HOST))]
CONFLICT = Conflict(VIP, "eth0", MAC)


class Kernel:
    """A neighbour table, or what goes wrong with reading it."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.looks = 0
        self.trouble = trouble
        self.hangs = False

    async def neighbours(self) -> Mapping[IPAddress, Mac]:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble
        return {HOST: MAC}


def node(kernel: Kernel, made: Rivals, now: float) -> str:
    (told,) = asyncio.run(made.named([CONFLICT], PODS, now))
    return told.node


def test_a_node_is_named_by_its_address_and_the_table_is_read_once_in_ten_seconds() -> None:
    kernel = Kernel()
    made = Rivals(kernel.neighbours)

    assert [node(kernel, made, NOW + after) for after in (0.0, LOOK / 2, LOOK)] == ["w12", "w12", "w12"]
    assert kernel.looks == 2


@pytest.mark.parametrize("trouble", [KernelError("reading neigh", errno.EINTR), OSError(errno.EBADF, "closed")])
def test_a_table_that_cannot_be_read_leaves_it_unnamed(trouble: Exception) -> None:
    kernel = Kernel(trouble)

    assert node(kernel, Rivals(kernel.neighbours), NOW) == ""


def test_a_kernel_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "TIMEOUT", 0.01)
    kernel = Kernel()
    kernel.hangs = True

    assert node(kernel, Rivals(kernel.neighbours), NOW) == ""
