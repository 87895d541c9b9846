"""One direction of a TCP exchange: label, encryption, then a message whose end only its content tells.

Owns the incremental decoding, and the limits that keep a hostile peer from filling memory; opens no socket
(memberlist `net.go`).
"""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]

from memberlist import codec
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.errors import LabelMismatch, Unauthentic, WireError
from memberlist.messages import (
    PUSH_PULL_NODES_MAX,
    USER_MESSAGE_MAX,
    USER_STATE_MAX,
    Ack,
    ErrorReply,
    MessageType,
    NodeState,
    Ping,
    PushPull,
    StreamMessage,
    User,
)
from memberlist.packets import label_header

READ_SIZE = 4096
"""Bytes of buffer that a stream begins with; msgpack's default of 1 MiB would be a gift to whoever opens many."""
ENCRYPTED_MAX = 20 << 20
"""Bytes of one encrypted stream message (memberlist `maxPushStateBytes`)."""
SEALED_HEADERS = 64
"""At least what the encryption and the header of a user message take of that."""


class StreamCodec:
    """Seals what we write to streams and makes a decoder for each direction that we read."""

    def __init__(self, config: Config, keyring: Keyring | None, label: str) -> None:
        self._header = label_header(label)
        self._label = label.encode()
        self._keyring = keyring
        self._config = config
        self._version = 0 if config.protocol_version == 1 else 1

    def seal(self, message: bytes, *, dialled: bool) -> bytes:
        """All bytes to write; only the side that dialled sends the label."""
        if self._keyring is not None and self._config.verify_outgoing:
            size = len(message) + 29 if self._version == 1 else len(message) // 16 * 16 + 16 + 29
            prefix = bytes((MessageType.ENCRYPT,)) + size.to_bytes(4, "big")
            message = prefix + self._keyring.seal(message, prefix + self._label, self._version)
        return self._header + message if dialled else message

    @property
    def user_message_max(self) -> int:
        """Bytes of the largest user message that a peer would take from us."""
        if self._keyring is not None and self._config.verify_outgoing:
            return ENCRYPTED_MAX - SEALED_HEADERS
        return USER_MESSAGE_MAX

    def decoder(self, *, dialled: bool) -> StreamDecoder:
        """For the reply on a stream that we dialled, or the request on one that we accepted."""
        expects = b"" if dialled or self._config.skip_inbound_label_check else self._label
        return StreamDecoder(expects, self._label, self._keyring, self._config)


class StreamDecoder:
    """Feed it what arrives; it returns the message as soon as that is complete."""

    def __init__(self, expects: bytes, label: bytes, keyring: Keyring | None, config: Config) -> None:
        self._expects = expects
        self._label = label
        self._keyring = keyring
        self._must_decrypt = keyring is not None and config.verify_incoming
        self._limit = config.max_expanded
        self._buffer = bytearray()
        self._labelled = False
        self._body: _Body | None = None

    def feed(self, data: bytes) -> StreamMessage | None:
        """The message, or None while more is needed.  Raises WireError; nothing may be fed after that."""
        if self._body is not None:
            return self._body.feed(data)
        self._buffer += data
        if not self._labelled and not self._strip_label():
            return None
        if not self._buffer:
            return None
        if self._buffer[0] == MessageType.ENCRYPT:
            return self._decrypted()
        if self._must_decrypt:
            raise Unauthentic("a stream in plaintext")
        self._body = _Body(self._buffer[0], self._limit, may_expand=True)
        rest = bytes(self._buffer[1:])
        self._buffer.clear()
        return self._body.feed(rest)

    def _strip_label(self) -> bool:
        if not self._buffer:
            return False
        label = b""
        if self._buffer[0] == MessageType.LABEL:
            if len(self._buffer) < 2 or len(self._buffer) < 2 + self._buffer[1]:
                return False
            end = 2 + self._buffer[1]
            label = bytes(self._buffer[2:end])
            if not label:
                raise LabelMismatch("an empty label")
            del self._buffer[:end]
        if label != self._expects:
            raise LabelMismatch("a stream with another label")
        self._labelled = True
        return True

    def _decrypted(self) -> StreamMessage | None:
        if self._keyring is None:
            raise Unauthentic("an encrypted stream, and we have no key")
        if len(self._buffer) < 5:
            return None
        size = int.from_bytes(self._buffer[1:5], "big")
        if size > min(ENCRYPTED_MAX, self._limit + SEALED_HEADERS):  # it must all be held before a key can be tried
            raise WireError(f"an encrypted stream message of {size} bytes")
        if len(self._buffer) < 5 + size:
            return None
        prefix = bytes(self._buffer[:5])
        plain = self._keyring.open(bytes(self._buffer[5 : 5 + size]), prefix + self._label)
        return _whole(plain, self._limit, may_expand=True)


class _Body:
    """A message without outer length: msgpack objects are taken one by one as they become complete."""

    def __init__(self, kind: int, limit: int, *, may_expand: bool) -> None:
        self._kind = kind
        self._limit = limit
        self._may_expand = may_expand
        self._received = 0
        self._nodes: list[NodeState] = []
        self._header: codec.Fields | None = None
        if kind not in (
            MessageType.PING,
            MessageType.ACK,
            MessageType.USER,
            MessageType.PUSH_PULL,
            MessageType.ERROR,
            MessageType.COMPRESS,
        ):
            raise WireError(f"message type {kind} has no place on a stream")
        self._unpacker = msgpack.Unpacker(
            read_size=READ_SIZE, max_buffer_size=limit + 1, max_str_len=limit, max_bin_len=limit, **codec.BODY_LIMITS
        )

    def feed(self, data: bytes) -> StreamMessage | None:
        self._received += len(data)
        if self._received > self._limit:
            raise WireError(f"a stream message of more than {self._limit} bytes")
        self._unpacker.feed(data)
        if self._header is None:
            self._header = self._next()
            if self._header is None:
                return None
        match self._kind:
            case MessageType.PUSH_PULL:
                return self._push_pull(self._header)
            case MessageType.USER:
                payload = self._raw(codec.number(self._header, b"UserMsgLen", USER_MESSAGE_MAX))
                return None if payload is None else User(payload)
            case MessageType.COMPRESS:
                if not self._may_expand:
                    raise WireError("a stream message that is compressed twice")
                return _whole(codec.expanded(self._header, self._limit), self._limit, may_expand=False)
            case MessageType.ERROR:
                return ErrorReply(codec.text(self._header, b"Error"))
            case _:
                message = codec.from_fields(self._kind, self._header)
                assert isinstance(message, Ping | Ack)
                return message

    def _push_pull(self, header: codec.Fields) -> PushPull | None:
        count = codec.number(header, b"Nodes", PUSH_PULL_NODES_MAX)
        size = codec.number(header, b"UserStateLen", USER_STATE_MAX)
        while len(self._nodes) < count:
            fields = self._next()
            if fields is None:
                return None
            self._nodes.append(codec.node_state(fields))
        state = self._raw(size)
        if state is None:
            return None
        return PushPull(codec.truth(header, b"Join"), tuple(self._nodes), state)

    def _next(self) -> codec.Fields | None:
        try:
            return codec.as_map(self._unpacker.unpack())
        except msgpack.OutOfData:
            return None
        except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
            raise WireError(f"malformed msgpack: {error}") from error

    def _raw(self, size: int) -> bytes | None:
        if self._received - self._unpacker.tell() < size:
            return None
        data: bytes = self._unpacker.read_bytes(size)
        return data


def _whole(data: bytes, limit: int, *, may_expand: bool) -> StreamMessage:
    """The message in `data`, which must be all of it."""
    if not data:
        raise WireError("an empty stream message")
    message = _Body(data[0], limit, may_expand=may_expand).feed(data[1:])
    if message is None:
        raise WireError("a stream message that is cut off")
    return message
