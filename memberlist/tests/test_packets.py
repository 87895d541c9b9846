"""Label, encryption and CRC around a packet."""

import dataclasses

import pytest

from memberlist.codec import encode
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.errors import ConfigError, LabelMismatch, Unauthentic, WireError
from memberlist.messages import Nack
from memberlist.packets import PacketCodec

RING = Keyring([b"k" * 16])
MESSAGE = encode(Nack(9))
OPENED = ([Nack(9)], 0)


def codec(keyring: Keyring | None = None, label: str = "", **settings: bool | int) -> PacketCodec:
    return PacketCodec(dataclasses.replace(Config(), **settings), keyring, label)  # type: ignore[arg-type]


@pytest.mark.parametrize("keyring", [None, RING])
@pytest.mark.parametrize("label", ["", "mesh-a", "é" * 100])
@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize("protocol_version", [1, 2])
def test_members_of_one_cluster_understand_each_other(
    keyring: Keyring | None, label: str, crc: bool, protocol_version: int
) -> None:
    sender = codec(keyring, label, protocol_version=protocol_version)

    packet = sender.seal(MESSAGE, crc=crc)

    assert codec(keyring, label).open(packet) == OPENED
    assert len(packet) <= len(MESSAGE) + sender.overhead + 5 * crc


@pytest.mark.parametrize(("ours", "theirs"), [("", "mesh"), ("mesh", ""), ("mesh", "mess")])
def test_another_label_is_another_cluster(ours: str, theirs: str) -> None:
    with pytest.raises(LabelMismatch):
        codec(label=ours).open(codec(label=theirs).seal(MESSAGE, crc=False))


def test_with_a_key_plaintext_is_refused() -> None:
    with pytest.raises(Unauthentic):
        codec(RING).open(MESSAGE)


def test_while_encryption_is_introduced_plaintext_is_accepted() -> None:
    introducing = codec(RING, verify_incoming=False, verify_outgoing=False)

    assert introducing.open(MESSAGE) == OPENED
    assert introducing.open(codec(RING).seal(MESSAGE, crc=False)) == OPENED
    assert introducing.seal(MESSAGE, crc=False) == MESSAGE


def test_another_key_does_not_open_a_packet() -> None:
    with pytest.raises(Unauthentic):
        codec(RING).open(codec(Keyring([b"x" * 16])).seal(MESSAGE, crc=False))


def test_where_labels_were_taken_off_a_label_is_an_error_and_its_key_still_fits() -> None:
    labelled = codec(RING, "mesh").seal(MESSAGE, crc=False)
    behind = codec(RING, "mesh", skip_inbound_label_check=True)

    assert behind.open(labelled[2 + len("mesh") :]) == OPENED
    with pytest.raises(LabelMismatch):
        behind.open(labelled)


@pytest.mark.parametrize("packet", [b"", b"\xf4", b"\xf4\x00", b"\xf4\x05mes", b"\x0c", b"\xff"])
def test_fragments_raise_wire_errors(packet: bytes) -> None:
    for reader in (codec(), codec(label="mesh"), codec(RING)):
        with pytest.raises(WireError):
            reader.open(packet)


def test_a_label_longer_than_its_length_byte_is_refused() -> None:
    with pytest.raises(ConfigError, match="255"):
        codec(label="x" * 256)
