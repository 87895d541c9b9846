"""Says what reaches a host's gossip port, or says something to one, as a program of its own inside a host's network.

``python -m tests.system.datagrams listen`` prints a line for each UDP datagram, ``FROM TEXT``, and for each TCP
connection, ``FROM tcp``. ``python -m tests.system.datagrams say FROM TO TEXT`` sends one from the gossip's port to it,
and connects.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress

from purelb.names import GOSSIP_PORT


def listen() -> None:
    server = socket.create_server(("", GOSSIP_PORT))

    def accept() -> None:
        while True:
            connection, (peer, _) = server.accept()
            connection.close()
            tell(f"{peer} tcp")

    threading.Thread(target=accept, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("", GOSSIP_PORT))
        tell("ready")
        while True:
            data, (peer, _) = ear.recvfrom(65535)
            tell(f"{peer} {data.decode(errors='replace')}")


def tell(line: str) -> None:
    """At once and whole: two threads tell something."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(source: str, target: str, text: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # who listens there has the port
            mouth.bind((source, GOSSIP_PORT))
        mouth.sendto(text.encode(), (target, GOSSIP_PORT))
    with suppress(OSError):
        socket.create_connection((target, GOSSIP_PORT), timeout=0.5).close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["listen"]:
            listen()
        case ["say", source, target, text]:
            say(source, target, text)
        case _:
            sys.exit(__doc__)
