"""The outer layers of a UDP packet: label, encryption, CRC (memberlist `net.go`, `label.go`).

Owns the order of the layers and nothing of their content.
"""

from __future__ import annotations

from memberlist.codec import decode_packet, with_crc
from memberlist.config import Config
from memberlist.crypto import MAX_OVERHEAD, Keyring
from memberlist.errors import ConfigError, LabelMismatch, Unauthentic, WireError
from memberlist.messages import LABEL_MAX, MessageType, PacketMessage


def label_header(label: str) -> bytes:
    """What stands in front of a packet or a dialled stream; nothing for the empty label."""
    raw = label.encode()
    if len(raw) > LABEL_MAX:
        raise ConfigError(f"a label has at most {LABEL_MAX} bytes")
    return bytes((MessageType.LABEL, len(raw))) + raw if raw else b""


class PacketCodec:
    """Seals and opens the packets of one cluster."""

    def __init__(self, config: Config, keyring: Keyring | None, label: str) -> None:
        self._header = label_header(label)
        self._label = label.encode()
        self._keyring = keyring
        self._encrypts = keyring is not None and config.verify_outgoing
        self._verify = config.verify_incoming
        self._skip_label = config.skip_inbound_label_check
        self._version = 0 if config.protocol_version == 1 else 1
        sealing = MAX_OVERHEAD[self._version] if self._encrypts else 0
        self.overhead = len(self._header) + sealing
        """Bytes that sealing adds at most, the CRC not counted."""

    def seal(self, message: bytes, *, crc: bool) -> bytes:
        """A packet around `message`; with a CRC if the recipient is known to understand it."""
        if crc:
            message = with_crc(message)
        if self._encrypts and self._keyring is not None:
            message = self._keyring.seal(message, self._label, self._version)
        return self._header + message

    def open(self, packet: bytes) -> tuple[list[PacketMessage], int]:
        """The messages in `packet` and how many parts of it were damaged.

        Raises LabelMismatch, Unauthentic or WireError: then nothing of it may be believed.
        """
        data = self._unlabel(packet)
        if self._keyring is not None:
            try:
                data = self._keyring.open(data, self._label)
            except Unauthentic:
                if self._verify:
                    raise
        if not data:
            raise WireError("an empty packet")
        return decode_packet(data)

    def _unlabel(self, packet: bytes) -> bytes:
        if packet[:1] != b"\xf4":
            if self._header and not self._skip_label:
                raise LabelMismatch("a packet without a label")
            return packet
        if self._skip_label:
            raise LabelMismatch("a label where it should have been taken off")
        length = packet[1] if len(packet) > 1 else 0
        label = packet[2 : 2 + length]
        if length == 0 or label != self._label:
            raise LabelMismatch("a packet with another label")
        return packet[2 + length :]
