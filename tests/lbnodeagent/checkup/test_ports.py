"""Who waits at a port, as the kernel of the machine says when it is asked, and in its tables."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbnodeagent.checkup import ports
from lbnodeagent.checkup.ports import Protocol, waiting, waiting_below

KINDS: dict[Protocol, socket.SocketKind] = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_socket_that_waits_is_found_at_its_port_and_nowhere_else(
    protocol: Protocol, family: socket.AddressFamily, host: str
) -> None:
    with socket.socket(family, KINDS[protocol]) as one, socket.socket(family, KINDS[protocol]) as other:
        for bound in (one, other):
            bound.bind((host, 0))
            if protocol == "TCP":
                bound.listen()
        port, inode = one.getsockname()[1], os.fstat(one.fileno()).st_ino

        assert inode in waiting(protocol, port)
        assert os.fstat(other.fileno()).st_ino not in waiting(protocol, port)
        assert waiting(protocol, port) == waiting_below(Path("/proc/net"), protocol, port)


def test_a_connection_from_a_port_does_not_wait_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert waiting("TCP", client.getsockname()[1]) == set()


def test_a_kernel_that_can_t_be_asked_shows_it_in_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_SOCK_DIAG", 31)

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert waiting("TCP", server.getsockname()[1]) == {os.fstat(server.fileno()).st_ino}
