"""The two sockets of a member, and the translation between socket addresses and endpoints.

Owns binding and socket options; knows no protocol.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from dataclasses import dataclass

from memberlist.errors import ConfigError
from memberlist.messages import Address, Endpoint
from memberlist.sieve import INSTRUCTION_SIZE

log = logging.getLogger(__name__)

SocketAddress = tuple[str, int] | tuple[str, int, int, int]

RECEIVE_BUFFER = 2 << 20
"""Bytes; a burst of this size waits in the kernel while the process is not scheduled (memberlist `udpRecvBufSize`)."""
SO_RCVBUFFORCE = 33
"""linux/socket.h: exceed net.core.rmem_max, for those who may (CAP_NET_ADMIN)."""
SO_ATTACH_FILTER = 26
SO_MEMINFO = 55
MEMINFO = struct.Struct("=9I")
"""asm-generic/socket.h, linux/sock_diag.h: nine numbers, the last one the packets dropped (SK_MEMINFO_DROPS)."""
BACKLOG = 128
BIND_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Sockets:
    """A UDP and a listening TCP socket with the same port, both non-blocking."""

    udp: socket.socket
    tcp: socket.socket
    is_ipv6: bool

    @property
    def endpoint(self) -> Endpoint:
        return from_socket(self.udp.getsockname())

    def sift(self, program: bytes) -> None:
        """Let the kernel run a classic BPF `program` on each packet; if it can't, all packets come to us."""
        instructions = array.array("B", program)
        address, _ = instructions.buffer_info()
        filter_program = struct.pack("@HP", len(program) // INSTRUCTION_SIZE, address)
        try:
            self.udp.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)
        except OSError as error:
            log.debug("no packet filter", extra={"sentence": str(error)})

    def dropped(self) -> int:
        """UDP packets that the kernel dropped, by the filter or because the socket was full; 0 if it doesn't say."""
        try:
            counts = self.udp.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
        except OSError:
            return 0
        return int(MEMINFO.unpack(counts)[-1]) if len(counts) == MEMINFO.size else 0

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()


def bind(address: Address, port: int) -> Sockets:
    """Both sockets at `address`; port 0 lets the kernel choose.  Raises OSError when the port is taken."""
    for attempt in range(1, BIND_ATTEMPTS + 1):
        tcp = _socket(address, socket.SOCK_STREAM)
        udp = _socket(address, socket.SOCK_DGRAM)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((str(address), port))
            udp.bind((str(address), tcp.getsockname()[1]))
            tcp.listen(BACKLOG)
        except OSError:
            tcp.close()
            udp.close()
            if port or attempt == BIND_ATTEMPTS:
                raise
            continue  # the free TCP port that the kernel chose was taken for UDP
        _enlarge(udp)
        return Sockets(udp, tcp, is_ipv6=address.version == 6)
    raise AssertionError("unreachable")


def dialer(address: Address, source: Endpoint) -> socket.socket:
    """An unconnected TCP socket towards `address`, from our own address if it is a specific one of the same family."""
    sock = _socket(address, socket.SOCK_STREAM)
    own = source.address
    if not own.is_unspecified and own.version == address.version:
        try:
            sock.bind((str(own), 0))
        except OSError:
            sock.close()
            raise
    return sock


def advertised(bound: Endpoint, wish: Endpoint | None) -> Endpoint:
    """Where others reach a socket: where they are to, else where it is bound."""
    if wish is not None:
        return Endpoint(wish.address, wish.port or bound.port)
    if bound.address.is_unspecified:
        return Endpoint(_own_address(bound.address), bound.port)
    return bound


def _own_address(unspecified: Address) -> Address:
    """The address that others see of a socket bound to the unspecified one; loopback if there is no route.

    Asks the routing table by connecting a UDP socket, which sends nothing (192.0.2.1: RFC 5737, 2001:db8::1: RFC 3849).
    """
    far = ipaddress.ip_address("192.0.2.1" if unspecified.version == 4 else "2001:db8::1")
    with _socket(far, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(far), 9))
        except OSError:
            return ipaddress.ip_address("127.0.0.1" if unspecified.version == 4 else "::1")
        return from_socket(probe.getsockname()).address


def parsed(pair: tuple[str, int]) -> Endpoint:
    """Address and port as their user wrote them; raises ConfigError if they can't be."""
    host, port = pair
    try:
        address: Address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigError(f"{host!r} is not an IP address") from error
    if not 0 <= port <= 65535:
        raise ConfigError(f"{port} is not a port")
    return Endpoint(address, port)


async def resolved(peer: tuple[str, int]) -> list[Endpoint]:
    """All addresses of a peer given by address or by name; raises OSError if the name isn't known."""
    host, port = peer
    try:
        return [parsed(peer)]
    except ConfigError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(from_socket(name) for *_, name in found if isinstance(name[0], str)))


def to_socket(to: Endpoint, *, ipv6: bool) -> SocketAddress:
    """What the socket functions want; an IPv4 address on an IPv6 socket goes in its mapped form."""
    if not ipv6:
        return (str(to.address), to.port)
    if to.address.version == 4:
        return (f"::ffff:{to.address}", to.port, 0, 0)
    scope = to.address.scope_id
    if scope is None:
        return (str(to.address), to.port, 0, 0)
    return (str(to.address).partition("%")[0], to.port, 0, socket.if_nametoindex(scope))


def from_socket(name: SocketAddress) -> Endpoint:
    address = ipaddress.ip_address(name[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return Endpoint(address.ipv4_mapped, name[1])
    return Endpoint(address, name[1])


def _socket(address: Address, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.socket(family, kind | socket.SOCK_NONBLOCK)


def _enlarge(udp: socket.socket) -> None:
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
