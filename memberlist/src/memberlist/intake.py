"""Reads the packets that wait in a member's UDP socket, in turns, and keeps floods of junk away from it.

Owns how much is read before others get their turn, the filter on the socket, and whom it bans.  The rules are in
sieve.py and bans.py.
"""

from __future__ import annotations

import functools
import logging
import select
from collections.abc import Callable

from memberlist.bans import Bans
from memberlist.core import Core
from memberlist.messages import Address, Endpoint
from memberlist.sieve import is_bannable, program
from memberlist.sockets import Sockets, from_socket

log = logging.getLogger(__name__)

PACKETS_PER_TURN = 256
SECONDS_PER_TURN = 0.005
"""Bounds of what is read before timers and the rest of the event loop get their turn; packets differ in cost."""
LARGEST_PACKET = 65535
SPARED_MAX = 16
"""Members at one address that may be told from a flood by their ports."""

cached_endpoint = functools.lru_cache(maxsize=4096)(from_socket)


class Intake:
    """The reading half of a member's UDP socket."""

    def __init__(self, sockets: Sockets, core: Core, clock: Callable[[], float]) -> None:
        self._sockets = sockets
        self._core = core
        self._clock = clock
        self._bans = Bans()
        self._waiting = select.poll()
        """Asked whether a packet is there: an exception that says that none is costs more than to read one."""
        self._waiting.register(sockets.udp, select.POLLIN)
        self._sift()

    @property
    def dropped(self) -> int:
        """Packets that the kernel dropped: junk by its looks, from banned sources, or because the socket was full."""
        return self._sockets.dropped()

    def read(self) -> bool:
        """Feed the core what waits, for one turn; whether nothing is left."""
        now = self._clock()
        if self._bans.banned and self._bans.expire(now):
            self._sift()
        udp, core = self._sockets.udp, self._core
        until = now + SECONDS_PER_TURN
        for _ in range(PACKETS_PER_TURN):
            if not self._waiting.poll(0):
                return True
            try:
                data, name = udp.recvfrom(LARGEST_PACKET)
            except BlockingIOError:  # one that turned out to be broken
                return True
            except OSError as error:
                log.debug("packet not received", extra={"sentence": str(error)})
                continue
            source = cached_endpoint(name)
            if not core.receive_packet(now, data, source) and self._bans.blame(now, source.address):
                self._ban(now, source)
            now = self._clock()
            if now >= until:
                break
        return False

    def pardon(self, address: Address) -> None:
        """A member has come to live there."""
        if self._bans.pardon(address):
            self._sift()

    def _ban(self, now: float, source: Endpoint) -> None:
        """Members who live at that address must be heard: they send from the port they listen to, and it is spared."""
        spared = self._core.ports_at(source.address)
        if source.port in spared or len(spared) > SPARED_MAX or not is_bannable(source.address):
            return
        if self._bans.ban(now, source.address):
            self._core.banned(now, source)
            self._sift()

    def _sift(self) -> None:
        self._sockets.sift(program({address: self._core.ports_at(address) for address in self._bans.banned}))
