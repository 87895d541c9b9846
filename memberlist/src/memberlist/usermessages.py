"""What the application says to others, by gossip, by a stream or in one packet: how much may be said, and to whom.

Checks before anything is sent; how it travels is outbox.py's, broadcasts.py's and streams.py's business.
"""

from __future__ import annotations

from memberlist.broadcasts import Broadcasts
from memberlist.codec import encode, encode_user_stream
from memberlist.config import Config
from memberlist.errors import ConfigError, UnknownMember
from memberlist.members import MemberTable, Record
from memberlist.messages import User
from memberlist.outbox import Outbox
from memberlist.packets import PacketCodec
from memberlist.streams import StreamCodec

PACKET_MAX = 65507
"""Bytes of the largest UDP packet over IPv4."""


class UserMessages:
    """``Core`` says what its methods raise."""

    def __init__(
        self,
        config: Config,
        packets: PacketCodec,
        streams: StreamCodec,
        table: MemberTable,
        rumours: Broadcasts,
        outbox: Outbox,
    ) -> None:
        self._config = config
        self._packets = packets
        self._streams = streams
        self._table = table
        self._rumours = rumours
        self._outbox = outbox

    def broadcast(self, payload: bytes) -> None:
        room = self._config.udp_buffer_size - 2 - self._packets.overhead - 3
        if len(payload) > room:
            raise ConfigError(f"a message for gossip has at most {room} bytes, this one has {len(payload)}")
        self._rumours.application(encode(User(payload)))

    def dial(self, now: float, name: str, payload: bytes) -> int:
        most = self._streams.user_message_max
        if len(payload) > most:
            raise ConfigError(f"a message has at most {most} bytes, this one has {len(payload)}")
        to = self._recipient(name).endpoint
        data = self._streams.seal(encode_user_stream(payload), dialled=True)
        return self._outbox.dial(to, data, replies=False, deadline=now + self._config.tcp_timeout)

    def packet(self, name: str, payload: bytes) -> None:
        room = PACKET_MAX - self._packets.overhead - 6  # a CRC and the type
        if len(payload) > room:
            raise ConfigError(f"a message in one packet has at most {room} bytes, this one has {len(payload)}")
        self._outbox.send_to_member(self._recipient(name), encode(User(payload)))

    def _recipient(self, name: str) -> Record:
        record = self._table.get(name)
        if record is None or record.is_gone:
            raise UnknownMember(name)
        return record
