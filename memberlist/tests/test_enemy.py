"""An enemy on the wire: without the key it can only send again what it recorded; with it, it may fill our memory."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogue import VERSIONS, Dialogue, address, alive, where
from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.errors import ConfigError, WireError
from memberlist.events import MemberFailed, NameConflict
from memberlist.membership import CONFLICT_EVERY, NAME_MAX
from memberlist.messages import META_MAX, Ack, Alive, Claim, Dead, IndirectPing, Ping, State, Suspect
from memberlist.outbox import SendPacket
from memberlist.packets import PacketCodec
from memberlist.streams import SEALED_HEADERS, StreamCodec

# --- recordings ---


def test_an_answer_of_an_earlier_run_answers_no_probe_of_this_one() -> None:
    sequences = {Dialogue(1, seed=seed).waits_for_a_probe()[1].sequence for seed in range(20)}

    assert len(sequences) == 20
    assert min(sequences) > 1000


def test_pings_that_are_sent_again_and_again_do_not_use_up_our_news() -> None:
    node = Dialogue(3)
    node.hears(alive(9))

    for _ in range(100):
        node.hears(Ping(7, "n0", address(1), 7946, "n1"))
    assert len(node.sent(Ack, to=1)) == 100
    assert node.sent(Alive, to=1)  # it goes along all the same
    node.forget()
    node.waits(0.4)

    assert alive(9) in node.sent(Alive, to=2)
    assert alive(9) in node.sent(Alive, to=3)


def test_pings_that_we_relay_do_not_use_up_our_news_either() -> None:
    node = Dialogue(3)
    node.hears(alive(9))

    for _ in range(100):
        node.hears(IndirectPing(7, address(2), 7946, "n2", True, address(1), 7946, "n1"))
    assert len(node.sent(Ping, to=2)) == 100
    node.forget()
    node.waits(0.4)

    assert alive(9) in node.sent(Alive, to=3)


@given(
    st.lists(
        st.tuples(st.sampled_from(["alive", "suspect", "dead", "left"]), st.integers(1, 4), st.integers(2, 4)),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_what_was_believed_once_changes_nothing_when_it_comes_again(
    story: list[tuple[str, int, int]], rng: random.Random
) -> None:
    node = Dialogue(4)
    believed: list[Claim] = []
    for says, incarnation, source in story:
        claim: Claim
        match says:
            case "alive":
                claim = alive(1, incarnation)
            case "suspect":
                claim = Suspect(incarnation, "n1", f"n{source}")
            case "dead":
                claim = Dead(incarnation, "n1", f"n{source}")
            case _:
                claim = Dead(incarnation, "n1", "n1")
        before = (node.believes(1), node.incarnation(1))
        node.hears(claim)
        if (node.believes(1), node.incarnation(1)) != before:
            believed.append(claim)
    now = node.core.members()["n1"]
    rng.shuffle(believed)
    node.forget()

    for claim in believed:
        node.hears(claim)

    assert node.core.members()["n1"] == now
    assert node.events == []


def core(incarnation: int) -> Core:
    own = where(1)
    return Core(
        "n1", own.address, own.port, config=Config(), rng=random.Random(1), meta=b"back", incarnation=incarnation
    )


def news_of(member: Core) -> Alive:
    """What a member that has just started gossips of itself when somebody pings it."""
    wire = PacketCodec(Config(), None, "")
    member.start(1000.0)
    member.receive_packet(1000.0, wire.seal(b"\x00\x82\xa4Node\xa2n1\xa5SeqNo\x01", crc=False), where(9))
    packets = [output.data for output in member.outputs() if isinstance(output, SendPacket)]
    return next(said for packet in packets for said in wire.open(packet)[0] if isinstance(said, Alive))


def test_who_begins_with_a_greater_incarnation_than_ever_is_not_touched_by_recordings() -> None:
    node = Dialogue(2)
    node.hears(Dead(7, "n1", "n2"))

    node.hears(news_of(core(1_790_000_000)))
    assert node.believes(1) is State.ALIVE
    node.forget()
    node.hears(Dead(7, "n1", "n2"), Suspect(8, "n1", "n2"), Dead(8, "n1", "n1"))

    assert node.believes(1) is State.ALIVE
    assert node.saw(MemberFailed) == []


@pytest.mark.parametrize("incarnation", [0, 1 << 32])
def test_an_incarnation_that_the_wire_can_not_carry_is_refused(incarnation: int) -> None:
    with pytest.raises(ConfigError):
        core(incarnation)


def test_an_old_claim_to_a_name_that_comes_again_and_again_is_told_once_a_minute() -> None:
    node = Dialogue(2)

    for _ in range(100):
        node.hears(alive(1, address=address(99)))
    assert len(node.saw(NameConflict)) == 1
    node.sleeps(CONFLICT_EVERY)
    node.hears(alive(1, address=address(99)))

    assert len(node.saw(NameConflict)) == 2


# --- what fills memory ---


@pytest.mark.parametrize(
    "claim",
    [
        alive(9, meta=bytes(META_MAX + 1)),
        alive(9, node="x" * (NAME_MAX + 1)),
        alive(9, versions=b""),
        alive(9, versions=VERSIONS[:5]),
    ],
    ids=["metadata", "name", "no versions", "five versions"],
)
def test_a_member_that_no_member_can_be_is_not_remembered(claim: Alive) -> None:
    node = Dialogue(1)

    node.hears(claim)

    assert len(node.core.members()) == 2


def test_accusers_with_names_that_nobody_has_room_for_are_not_heard() -> None:
    node = Dialogue(3)

    node.hears(Suspect(1, "n1", "x" * 10_000), Dead(1, "n2", "x" * 10_000))

    assert (node.believes(1), node.believes(2)) == (State.ALIVE, State.ALIVE)


def test_news_that_fit_no_packet_do_not_hold_up_the_others() -> None:
    node = Dialogue(2, udp_buffer_size=600)

    for number in range(50, 100):
        node.hears(alive(number, node=f"n{number}" + "x" * 300, meta=bytes(400)))
    node.hears(alive(9))
    node.forget()
    node.waits(0.4)

    assert alive(9) in node.sent(Alive)


def test_a_sealed_stream_that_we_could_not_read_anyway_is_refused_by_its_length() -> None:
    codec = StreamCodec(Config(max_expanded=1000), Keyring([b"k" * 16]), "")
    codec.decoder(dialled=False).feed(b"\x0a" + (1000 + SEALED_HEADERS).to_bytes(4, "big"))

    with pytest.raises(WireError):
        codec.decoder(dialled=False).feed(b"\x0a" + (1001 + SEALED_HEADERS).to_bytes(4, "big"))
