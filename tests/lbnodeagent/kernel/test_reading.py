"""Tables of the kernel that the tests run on, which anybody may read."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct

import pytest

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel import rtnetlink
from lbnodeagent.kernel.reading import read_table


def test_each_table_is_read_to_its_end() -> None:
    async def scenario() -> None:
        links = await read_table("links", rtnetlink.all_links())
        addresses = await read_table("addresses", rtnetlink.all_addresses())
        routes = await read_table("routes", rtnetlink.all_routes(socket.AF_INET))

        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links}
        assert names == dict(socket.if_nameindex())
        assert {address.index for address in addresses} <= names.keys()
        assert all(route["family"] == socket.AF_INET for route in routes)

    asyncio.run(scenario())


def test_only_what_is_wanted_is_read() -> None:
    assert asyncio.run(read_table("links", rtnetlink.all_links(), lambda raw: False)) == []


def test_a_question_that_the_kernel_refuses_is_an_error_with_its_reason() -> None:
    nonsense = struct.pack("=IHHII", 16, 0x7FFF, 0x1 | 0x300, 0, 0)

    with pytest.raises(KernelError) as refused:
        asyncio.run(read_table("nonsense", nonsense))

    assert refused.value.code == errno.EOPNOTSUPP
