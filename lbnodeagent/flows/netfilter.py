"""The socket to the kernel's nf_tables and conntrack. Blocking: to be used in a thread, by one at a time."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self

from lbnodeagent.errors import KernelError
from lbnodeagent.flows import conntrack
from lbnodeagent.flows.nfnetlink import ACK, DONE, DUMP, ERROR, HEAD, Message, answers, batch, encode, messages_of
from lbnodeagent.flows.straychains import note_strays
from lbnodeagent.flows.tables import STRAY, Flow, Stray
from purelb.addresses import IPAddress

_NETFILTER: Final = 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_BUFFER: Final = 4 << 20
_RECEIVE: Final = 1 << 16
_AT_ONCE: Final = 100
"""Questions about a connection each, whose answers must fit into the socket's buffer."""
_STRAY4: Final = STRAY.size + 8
PATIENCE: Final = 5.0
"""Seconds; nf_tables answers within the send, a dump in parts."""


class Netfilter:
    """``with Netfilter() as netfilter``."""

    def __init__(self) -> None:
        self._socket = _open()
        self._sequence = 0

    def __enter__(self) -> Self:
        for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
            # Root of a user namespace may not: large batches are refused then, small ones aren't.
            with suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._socket.bind((0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def commit(self, messages: Sequence[Message]) -> None:
        """Do all of this, or nothing of it. Raises KernelError."""
        self._sequence += 1
        with _errors("nf_tables"):
            self._socket.send(batch(messages, self._sequence))
            # Each message that fails is answered, and the end of the batch if none does.
            while True:
                for answer in answers(self._socket.recv(_RECEIVE), self._sequence):
                    if answer:
                        raise KernelError("nf_tables", answer)
                    return

    def ask(self, message: Message) -> bytes:
        """The one message that answers it. Raises KernelError."""
        self._sequence += 1
        with _errors("nf_tables"):
            self._socket.send(encode(message, self._sequence))
            while True:
                data = self._socket.recv(_RECEIVE)
                for code in answers(data, self._sequence):
                    raise KernelError("nf_tables", code)
                if HEAD.unpack_from(data)[3] == self._sequence:
                    return data

    def ask_all(self, message: Message) -> Iterator[bytes]:
        """The parts of a dump of nf_tables. Raises KernelError."""
        with _errors("nf_tables"), _open() as asking:
            asking.send(encode(message, 1))
            while True:
                data = asking.recv(_RECEIVE)
                yield data
                for kind, body in messages_of(data):
                    if kind in (DONE, ERROR):
                        code = -int(struct.unpack_from("=i", body)[0]) if len(body) >= 4 else errno.EBADMSG
                        if code:
                            raise KernelError("nf_tables", code)
                        return

    def live_flows(self, vips: Collection[IPAddress]) -> dict[IPAddress, list[Flow]]:
        """What this node serves of flows to each of these, by its conntrack. Raises KernelError."""
        found = {vip: list[Flow]() for vip in vips}
        self.note_live_flows(found)
        return found

    def note_live_flows(self, found: Mapping[IPAddress, list[Flow]]) -> None:
        """Likewise, of the VIPs that ``found`` has: it may be looked at meanwhile. Raises KernelError."""
        its4 = {vip: flows for vip, flows in found.items() if isinstance(vip, IPv4Address)}
        its6 = {vip: flows for vip, flows in found.items() if isinstance(vip, IPv6Address)}
        if its4:
            body = conntrack.request(next(iter(its4)) if len(its4) == 1 else None)
            self._dump(Message(conntrack.GET, DUMP, socket.AF_INET, body), 4, _packed(its4))
        if its6:
            self._dump(Message(conntrack.GET, DUMP, socket.AF_INET6, conntrack.request(None)), 6, _packed(its6))

    def strays(self, request: Message, version: int) -> set[Stray]:
        """The connections that a set or a map has. Raises KernelError."""
        found = set[Stray]()
        with _errors("nf_tables"), _open() as asking:
            asking.send(encode(request, 1))
            while note_strays(data := asking.recv(_RECEIVE), version, found):
                pass
        for code in answers(data, 1):
            raise KernelError("nf_tables", code)
        return found

    def find(self, strays: Sequence[tuple[int, Stray]]) -> list[tuple[int, int]]:
        """Which of these connections this node serves, by its conntrack: their places, each with the seconds for which
        it will be remembered without a packet. Raises KernelError.
        """
        found: list[tuple[int, int]] = []
        with _errors("conntrack"), _open() as asking:
            for at in range(0, len(strays), _AT_ONCE):
                part = strays[at : at + _AT_ONCE]
                asking.send(b"".join(encode(_lookup(stray), place) for place, stray in part))
                for _ in part:
                    data = asking.recv(_RECEIVE)
                    _, kind, _, place, _ = HEAD.unpack_from(data)
                    left = conntrack.left(data) if kind != ERROR else None
                    if left is not None:
                        found.append((place, left))
        return found

    def forget(self, vip: IPAddress, flows: Collection[Flow]) -> None:
        """Have conntrack know nothing of these flows to a VIP. Raises KernelError."""
        family, left = socket.AF_INET if vip.version == 4 else socket.AF_INET6, list(flows)
        with _errors("conntrack"), _open() as asking:
            for at in range(0, len(left), _AT_ONCE):
                part = left[at : at + _AT_ONCE]
                asks = (Message(conntrack.DELETE, ACK, family, conntrack.one_of(vip, flow)) for flow in part)
                asking.send(b"".join(encode(ask, 1) for ask in asks))
                for _ in part:
                    asking.recv(_RECEIVE)  # one that isn't there any more is as well

    def _dump(self, request: Message, version: int, found: Mapping[bytes, list[Flow]]) -> None:
        # By a socket of its own: what one that fails leaves unread would be the next one's answer.
        with _errors("conntrack"), _open() as asking:
            asking.send(encode(request, 1))
            end = None
            while end is None:
                end = conntrack.live_flows(asking.recv(_RECEIVE), version, found)
        if end:
            raise KernelError("conntrack", end)


def _lookup(stray: Stray) -> Message:
    return Message(conntrack.GET, 0, socket.AF_INET if len(stray) == _STRAY4 else socket.AF_INET6, conntrack.one(stray))


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    opened.settimeout(PATIENCE)
    return opened


def _packed(found: Mapping[IPv4Address, list[Flow]] | Mapping[IPv6Address, list[Flow]]) -> dict[bytes, list[Flow]]:
    return {vip.packed: flows for vip, flows in found.items()}


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise KernelError(what, errno.ETIMEDOUT) from error
    except OSError as error:
        raise KernelError(what, error.errno or errno.EIO) from error
