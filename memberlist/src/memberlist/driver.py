"""A member on the network: asyncio UDP and TCP around Core.

Owns the clock, the tasks and the sending of packets; sockets.py binds, intake.py reads packets, exchanges.py does the
streams.  Decides nothing of the protocol: it feeds the core, carries out its outputs, sleeps until the next deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import math
import random
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import assert_never

from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.delegate import Delegate
from memberlist.errors import AnswerSealed, ConfigError, StreamFailed
from memberlist.events import Event, JoinSealed, Member, MemberJoined
from memberlist.exchanges import Exchanges
from memberlist.intake import Intake
from memberlist.messages import META_MAX, Endpoint
from memberlist.outbox import Dial, Output, SendPacket
from memberlist.sockets import Sockets, advertised, bind, parsed, resolved, to_socket

log = logging.getLogger(__name__)

JOINS_AT_ONCE = 16
REMOTE_ERRORS = (errno.EHOSTUNREACH, errno.ECONNREFUSED)
"""Failures to send that say something about the recipient, not about us."""


class Memberlist:
    """One member.  `run` it as a task; it is usable after `started`.

    Args:
        name: unique in the cluster, and the same again after a restart.
        bind, advertise: address and port (UDP and TCP) to listen on, and where others reach us, if that is elsewhere.
        incarnation: to begin with.  Greater than in any earlier run (say, the time in seconds since 1970), and nothing
            that was recorded of those is believed any more; 1, as memberlist has it, is outbid when others remember us.
        on_event: called in the event loop for every event, in order; what it raises ends `run`.

    Raises ConfigError for an address, name, label or metadata that can't work.
    """

    def __init__(
        self,
        name: str,
        *,
        bind: tuple[str, int],
        advertise: tuple[str, int] | None = None,
        config: Config,
        keyring: Keyring | None = None,
        label: str = "",
        meta: bytes = b"",
        incarnation: int = 1,
        on_event: Callable[[Event], None],
        delegate: Delegate | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self._bind = parsed(bind)
        self._advertise = None if advertise is None else parsed(advertise)
        self._config = config
        self._keyring = keyring
        self._label = label
        self._meta = meta
        self._incarnation = incarnation
        self._on_event = on_event
        self._delegate = delegate
        self._rng = rng or random.Random()
        self._core: Core | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for the running one takes a system call (getpid) before Python 3.12."""
        self._sockets: Sockets | None = None
        self._intake: Intake | None = None
        self._exchanges: Exchanges | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failure: asyncio.Future[None] | None = None
        self._departure: asyncio.Event = asyncio.Event()
        self._started: asyncio.Event = asyncio.Event()
        self.packets_sent = 0
        self.bytes_sent = 0
        self.packets_unsent = 0
        """Since the start; unsent are those that the kernel refused."""

    # --- life ---

    async def run(self) -> None:
        """Bind, and serve until cancelled.  Raises OSError when the port is taken.

        After its end `members` stays as it was, and what is said goes nowhere; it may be run again.
        """
        loop = self._loop = asyncio.get_running_loop()
        sockets = bind(self._bind.address, self._bind.port)
        self._sockets = sockets
        self._departure.clear()
        try:
            where = advertised(sockets.endpoint, self._advertise)
            core = Core(
                self.name,
                where.address,
                where.port,
                config=self._config,
                rng=self._rng,
                keyring=self._keyring,
                label=self._label,
                meta=self._meta,
                incarnation=self._incarnation,
                delegate=self._delegate,
            )
            self._failure = loop.create_future()
            async with asyncio.TaskGroup() as tasks:
                carry_out = functools.partial(self._carry_out, core)
                exchanges = Exchanges(core, tasks, sockets.endpoint, self._config.tcp_timeout, carry_out)
                tasks.create_task(exchanges.accept(sockets.tcp), name="memberlist accept")
                self._exchanges = exchanges
                self._intake = Intake(sockets, core, loop.time)
                self._core = core
                core.start(loop.time())
                loop.add_reader(sockets.udp.fileno(), self._guarded, self._on_readable)
                try:
                    self._carry_out(core)
                    self._started.set()
                    await self._failure
                finally:  # before the tasks end, so that nothing is begun any more
                    self._stop(loop, sockets)
                    exchanges.abandon()
        finally:
            self._sockets = None
            sockets.close()

    async def started(self) -> None:
        """Returns when the sockets are bound."""
        await self._started.wait()

    async def join(self, peers: Iterable[tuple[str, int]]) -> int:
        """Exchange all that both know with each peer; how many of them it worked with.

        A name stands for all its addresses and counts once.  Never raises for a peer that refuses, lies or is silent.
        """
        slots = asyncio.Semaphore(JOINS_AT_ONCE)
        async with asyncio.TaskGroup() as joining:
            tries = [joining.create_task(self._join_one(peer, slots)) for peer in peers]
        return sum(attempt.result() for attempt in tries)

    async def leave(self, timeout: float) -> None:
        """Tell the others that we go; returns when that is done or after `timeout` seconds.  We still answer."""
        core = self._running()
        core.leave(self._now())
        self._carry_out(core)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._departure.wait()

    def _stop(self, loop: asyncio.AbstractEventLoop, sockets: Sockets) -> None:
        loop.remove_reader(sockets.udp.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sockets = None
        self._intake = None
        self._exchanges = None
        self._started.clear()

    # --- the application's wishes ---

    def update_meta(self, meta: bytes) -> None:
        """Announce other metadata, at most 512 bytes (else ConfigError)."""
        if len(meta) > META_MAX:
            raise ConfigError(f"metadata have at most {META_MAX} bytes, these have {len(meta)}")
        self._meta = meta
        if self._core is not None:
            self._core.update_meta(self._now(), meta)
            self._carry_out(self._core)

    def broadcast(self, payload: bytes) -> None:
        """Give a message to the gossip: most members will see it, at least once.  ConfigError if it fits no packet."""
        core = self._running()
        core.broadcast(payload)
        self._carry_out(core)

    async def send(self, name: str, payload: bytes) -> None:
        """Give a message to one member by TCP; returns when that one has taken it, so that the next comes after it.

        Raises UnknownMember, StreamFailed, or ConfigError above 20 MiB (with a key, 64 bytes less).
        """
        core = self._running()
        await self._outcome(core, core.send(self._now(), name, payload))

    def send_best_effort(self, name: str, payload: bytes) -> None:
        """Give a message to one member by one UDP packet.  Raises UnknownMember, or ConfigError if it fits none."""
        core = self._running()
        core.send_best_effort(name, payload)
        self._carry_out(core)

    @property
    def members(self) -> Mapping[str, Member]:
        """Everybody who isn't forgotten, by name, ourselves included; a snapshot."""
        return MappingProxyType({}) if self._core is None else self._core.members()

    @property
    def health(self) -> int:
        """0: we are fine; higher: we seem to be slow or cut off."""
        return 0 if self._core is None else self._core.health

    @property
    def answered_at(self) -> float:
        """When one of our probes was answered last, in the loop's time, by any member; minus infinity: never."""
        return -math.inf if self._core is None else self._core.answered_at

    def turn_until(self, until: float) -> float | None:
        """The last moment until `until`, in the loop's time, at which one of our probes begins; None: none does.

        Who has something to do by `until` can do it then: the process is awake anyway, and to wake it costs more than
        most that is done.
        """
        return None if self._core is None else self._core.turn_until(until)

    def by_detour(self) -> frozenset[str]:
        """Members that answer through others or by TCP alone: UDP doesn't pass between us."""
        return frozenset() if self._core is None else self._core.by_detour()

    @property
    def endpoint(self) -> Endpoint:
        """Where others reach us; only after `started`."""
        return self._running().endpoint

    @property
    def counters(self) -> Mapping[str, int]:
        """What was received, refused, dropped by the kernel, suspected, found late; for metrics, also on any thread."""
        if self._core is None:
            return MappingProxyType({})
        if self._intake is not None:
            self._core.counters["packets dropped"] = self._intake.dropped
        return MappingProxyType(self._core.counters)

    # --- the loop around the core ---

    def _carry_out(self, core: Core) -> None:
        if self._sockets is None:  # the member has ended, and whoever still uses it is late, not wrong
            core.outputs()
            return
        while outputs := core.outputs():  # carrying out may lead to more: what the kernel refuses is acted on at once
            for output in outputs:
                self._carry_out_one(core, output)
        if core.has_left:
            self._departure.set()
        due = core.next_deadline()
        if self._timer is not None:
            if self._timer.when() == due and not self._timer.cancelled():
                return
            self._timer.cancel()
        assert self._loop is not None
        self._timer = self._loop.call_at(due, self._guarded, self._on_timer)

    def _carry_out_one(self, core: Core, output: Output) -> None:
        if isinstance(output, SendPacket):
            self._send_packet(core, output)
        elif isinstance(output, Dial):
            if self._exchanges is not None:
                self._exchanges.dial(output)
        elif isinstance(output, Event):
            if isinstance(output, MemberJoined) and self._intake is not None:
                self._intake.pardon(output.member.address)
            self._on_event(output)
        else:
            assert_never(output)

    def _on_timer(self) -> None:
        """Nobody is accused while packets wait that may prove that they live; who can't keep up accuses late.

        A tick that is too late is the core's sign that the fault is ours.
        """
        core = self._running()
        self._timer = None
        is_drained = self._intake is None or self._intake.read()
        if is_drained or self._now() - core.next_deadline() > self._config.late_after:
            core.tick(self._now())
        self._carry_out(core)

    def _on_readable(self) -> None:
        core = self._running()
        if self._intake is not None:
            self._intake.read()
        self._carry_out(core)

    def _send_packet(self, core: Core, packet: SendPacket) -> None:
        sockets = self._sockets
        assert sockets is not None
        try:
            sockets.udp.sendto(packet.data, to_socket(packet.to, ipv6=sockets.is_ipv6))
        except OSError as error:
            self.packets_unsent += 1
            if error.errno in REMOTE_ERRORS:
                core.packet_refused(self._now(), packet.to)
            else:
                core.packet_not_sent(self._now(), packet.to)
            log.debug("packet not sent", extra={"to": str(packet.to.address), "sentence": str(error)})
            return
        self.packets_sent += 1
        self.bytes_sent += len(packet.data)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a callback of the event loop; what it raises ends `run` instead of only being logged."""
        try:
            step()
        except Exception as error:
            if self._failure is None or self._failure.done():
                raise
            self._failure.set_exception(error)

    # --- joining ---

    async def _join_one(self, peer: tuple[str, int], slots: asyncio.Semaphore) -> bool:
        core = self._running()
        try:
            endpoints = await resolved(peer)
        except OSError as error:
            log.info("join failed", extra={"peer": peer[0], "sentence": str(error)})
            return False
        worked = False
        for where in endpoints:
            async with slots:
                try:
                    await self._outcome(core, core.push_pull(self._now(), where, join=True))
                except StreamFailed as error:
                    log.info("join failed", extra={"peer": str(where.address), "sentence": str(error)})
                    if isinstance(error, AnswerSealed):
                        self._on_event(JoinSealed(where.address, where.port))
                else:
                    worked = True
        return worked

    async def _outcome(self, core: Core, dial: int) -> None:
        """Carry out a dial of the application and wait for its end."""
        if self._exchanges is None:
            raise StreamFailed("the member has ended")
        outcome = self._exchanges.outcome(dial)
        self._carry_out(core)
        await outcome

    # --- details ---

    def _running(self) -> Core:
        if self._core is None:
            raise ConfigError("the member isn't running: await started() first")
        return self._core

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()
