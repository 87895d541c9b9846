"""The TCP side of a member: dialling peers, and serving those who dial us, one request and one answer each.

Owns the deadlines, and ends whom streamlimits.py names; what the messages mean is the core's business.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable

from memberlist.core import Core
from memberlist.errors import AnswerSealed, StreamFailed, Unauthentic, WireError
from memberlist.messages import Endpoint, StreamMessage
from memberlist.outbox import Dial
from memberlist.sockets import dialer, from_socket, to_socket
from memberlist.streamlimits import StreamLimits
from memberlist.streams import StreamDecoder

log = logging.getLogger(__name__)

THREAD_FROM = 64 << 10
"""Streams of more bytes are decoded in a thread, lest they hold up the probes."""
READ_SIZE = 64 << 10
ACCEPT_AGAIN_AFTER = 0.1
"""Seconds to wait when the process has no descriptor left."""


class Exchanges:
    """All streams of one member; `carry_out` is called after each input to the core."""

    def __init__(
        self, core: Core, tasks: asyncio.TaskGroup, own: Endpoint, timeout: float, carry_out: Callable[[], None]
    ) -> None:
        self._core = core
        self._tasks = tasks
        self._own = own
        self._timeout = timeout
        self._carry_out = carry_out
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._limits = StreamLimits()
        self._serving: dict[int, asyncio.Task[None]] = {}

    # --- streams that we open ---

    def dial(self, dial: Dial) -> None:
        """Carry out what the core asked for, in a task."""
        self._tasks.create_task(self._dial(dial), name="memberlist dial")

    def outcome(self, dial: int) -> asyncio.Future[None]:
        """Done when that dial has worked, else StreamFailed; to be asked for before the dial is carried out."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[dial] = future
        return future

    def abandon(self) -> None:
        """The member ends: the dials under way come to nothing."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(StreamFailed("the member has ended"))
        self._waiting.clear()

    async def _dial(self, dial: Dial) -> None:
        """The world's failures end here."""
        loop = asyncio.get_running_loop()
        failure: StreamFailed | None = None
        try:
            async with asyncio.timeout_at(dial.deadline):
                reply = await self._exchange(dial)
        except (OSError, WireError, StreamFailed) as error:  # TimeoutError is an OSError
            kind = AnswerSealed if isinstance(error, Unauthentic) else StreamFailed
            failure = kind(str(error) or type(error).__name__)
            self._core.dial_failed(loop.time(), dial.id)
        else:
            if reply is not None:
                refusal = self._core.dial_answered(loop.time(), dial.id, reply, dial.to)
                failure = None if refusal is None else StreamFailed(refusal)
        future = self._waiting.pop(dial.id, None)
        if future is not None and not future.done():
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
        self._carry_out()

    async def _exchange(self, dial: Dial) -> StreamMessage | None:
        loop = asyncio.get_running_loop()
        with dialer(dial.to.address, self._own) as stream:
            await loop.sock_connect(stream, to_socket(dial.to, ipv6=dial.to.address.version == 6))
            self._core.dial_accepted(dial.id)
            await loop.sock_sendall(stream, dial.data)
            self._core.counters["stream bytes sent"] += len(dial.data)
            if not dial.replies:
                # Whoever has taken it hangs up, and only then is the next message not ahead of it.
                stream.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(stream, READ_SIZE):
                    pass
                return None
            return await self._read(stream, self._core.reply_decoder())

    # --- streams that others open ---

    async def accept(self, listener: socket.socket) -> None:
        """Serve everybody who dials us, until cancelled."""
        while True:
            await _readable(listener)
            try:
                stream, name = listener.accept()
            except BlockingIOError:  # whoever knocked has gone away
                continue
            except OSError as error:  # out of descriptors, or the peer gave up meanwhile
                log.warning("stream not accepted", extra={"sentence": str(error)})
                await asyncio.sleep(ACCEPT_AGAIN_AFTER)
                continue
            stream.setblocking(False)
            number, source = next(self._numbers), from_socket(name)
            self._end(self._limits.admit(number, source.address))
            serving = self._serve(number, stream, source)
            self._serving[number] = self._tasks.create_task(serving, name="memberlist serve")

    def _end(self, number: int | None) -> None:
        """Others need the room that this stream takes."""
        if number is not None:
            self._core.counters["streams displaced"] += 1
            self._serving[number].cancel()

    async def _serve(self, number: int, stream: socket.socket, source: Endpoint) -> None:
        """The world's failures end here."""
        loop = asyncio.get_running_loop()
        core = self._core
        try:
            with stream:
                async with asyncio.timeout(self._timeout):
                    try:
                        request = await self._read(stream, core.request_decoder(), incoming=number)
                    except WireError as error:
                        reply: bytes | None = core.refuse_request(loop.time(), error, source)
                    else:
                        reply = core.receive_request(loop.time(), request, source)
                        self._carry_out()
                    if reply is not None:
                        await loop.sock_sendall(stream, reply)
                        core.counters["stream bytes sent"] += len(reply)
                        stream.shutdown(socket.SHUT_WR)
        except (OSError, StreamFailed) as error:  # TimeoutError is an OSError
            log.debug("stream broken", extra={"source": str(source.address), "sentence": str(error)})
        finally:
            self._limits.end(number)
            del self._serving[number]

    async def _read(
        self, stream: socket.socket, decoder: StreamDecoder, *, incoming: int | None = None
    ) -> StreamMessage:
        """One message.  Raises WireError, StreamFailed if the stream ends before it, OSError."""
        loop = asyncio.get_running_loop()
        received = 0
        while True:
            data = await loop.sock_recv(stream, READ_SIZE)
            if not data:
                raise StreamFailed("the stream ended before the message did")
            received += len(data)
            self._core.counters["stream bytes received"] += len(data)
            if incoming is not None:
                self._end(self._limits.received(incoming, len(data)))
            if received > THREAD_FROM:
                message = await asyncio.to_thread(decoder.feed, data)
            else:
                message = decoder.feed(data)
            if message is not None:
                return message


async def _readable(listener: socket.socket) -> None:
    """Somebody waits to be accepted.

    Not `loop.sock_accept`: cancelled in the same turn in which a stream came, it logs an InvalidStateError and loses
    the stream (CPython's `selector_events.py`).
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(listener.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(listener.fileno())
