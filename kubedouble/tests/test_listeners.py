"""A port stays the server's while it refuses."""

from __future__ import annotations

import contextlib
import socket

import pytest

from kubedouble.listeners import bound


def test_a_port_that_was_chosen_freely_is_kept_while_it_refuses() -> None:
    listening = bound("127.0.0.1", 0)
    address = listening.getsockname()
    listening.shutdown(socket.SHUT_RDWR)
    try:
        with contextlib.closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
            other.bind(address)
        listening.listen()
        socket.create_connection(address, timeout=5).close()
    finally:
        listening.close()


def test_a_port_that_is_taken_is_refused() -> None:
    with contextlib.closing(bound("127.0.0.1", 0)) as first, pytest.raises(OSError, match="in use"):
        bound("127.0.0.1", first.getsockname()[1])
