"""Schedule and routing: gossip, push/pull, leaving, user messages, bad input, determinism."""

import logging
import random

import pytest

from dialogue import VERSIONS, Dialogue, address, alive, where
from memberlist.codec import encode
from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.delegate import Delegate
from memberlist.errors import ConfigError, UnknownMember
from memberlist.events import MemberJoined, UserMessage
from memberlist.messages import Ack, Alive, Dead, ErrorReply, NodeState, Ping, PushPull, State, User
from memberlist.outbox import SendPacket
from memberlist.pushpull import push_pull_scale


def line(number: int, versions: bytes = VERSIONS) -> NodeState:
    return NodeState(f"n{number}", address(number), 7946, b"", 1, State.ALIVE, versions)


# --- gossip ---


def test_a_rumour_goes_to_three_members_per_interval_and_ends() -> None:
    node = Dialogue(6, probe_interval=1000, push_pull_interval=1000)
    node.waits(2)
    node.forget()

    node.hears(alive(7))
    node.waits(0.2)
    first = len(node.sent(Alive))
    node.waits(5)

    assert first == 3
    assert len(node.sent(Alive)) == 4, "4 transmissions in a cluster of fewer than ten"


def test_with_nothing_to_tell_there_is_no_gossip_tick() -> None:
    node = Dialogue(3, probe_interval=1000, push_pull_interval=1000)

    node.waits(10)

    assert node.core.next_deadline() > node.at + 10


def test_rumours_ride_on_answers_too() -> None:
    node = Dialogue(1)
    node.hears(alive(2))
    node.forget()

    node.hears(Ping(7, "n0"))

    (packet,) = node.packets
    assert packet[1] == [Ack(7), alive(2)]


def test_the_dead_still_hear_gossip_for_a_while_and_those_who_left_do_not() -> None:
    node = Dialogue(2, probe_interval=1000, push_pull_interval=1000)
    node.hears(Dead(1, "n1", "n2"), Dead(1, "n2", "n2"))
    node.forget()

    node.waits(1)

    assert node.sent(Dead, to=1)
    assert not node.sent(Dead, to=2)


def test_a_packet_stays_within_its_budget() -> None:
    node = Dialogue(3)
    for number in range(10, 80):
        node.hears(alive(number, meta=bytes(500)))
    sizes = []

    for _ in range(50):
        node.at = max(node.at, node.core.next_deadline())
        node.core.tick(node.at)
        sizes += [len(output.data) for output in node.core.outputs() if isinstance(output, SendPacket)]

    assert 1000 < max(sizes) <= 1400 + 5


# --- push/pull ---


def test_a_join_is_answered_with_all_we_knew_before_it() -> None:
    node = Dialogue(1)

    reply = node.is_asked(PushPull(True, (line(5),)))

    assert isinstance(reply, PushPull)
    assert reply.join
    assert {member.name for member in reply.nodes} == {"n0", "n1"}
    assert node.believes(5) is State.ALIVE


def test_the_reply_to_our_own_join_is_merged() -> None:
    node = Dialogue()
    dial = node.core.push_pull(node.at, where(1), join=True)

    assert node.core.dial_answered(node.at, dial, PushPull(True, (line(1), line(2))), where(1)) is None

    assert (node.believes(1), node.believes(2)) == (State.ALIVE, State.ALIVE)


def test_an_error_in_reply_is_passed_on_as_a_sentence() -> None:
    node = Dialogue()
    dial = node.core.push_pull(node.at, where(1), join=True)

    assert "go away" in (node.core.dial_answered(node.at, dial, ErrorReply("go away"), where(1)) or "")


def test_incompatible_members_are_not_merged() -> None:
    node = Dialogue(1)

    node.is_asked(PushPull(True, (line(5, bytes([1, 5, 2, 2, 5, 5])),)))

    assert node.believes(5) is None
    assert node.core.counters["merges refused"] == 1


def test_from_time_to_time_everything_is_exchanged_with_somebody() -> None:
    node = Dialogue(3, probe_interval=1000)

    node.waits(30)

    assert len(node.dials) == 1
    assert node.dials[0].to in {where(1), where(2), where(3)}


@pytest.mark.parametrize(("members", "scale"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (1000, 6)])
def test_in_large_clusters_exchanges_are_rarer(members: int, scale: int) -> None:
    assert push_pull_scale(members) == scale


class Sharing(Delegate):
    def __init__(self) -> None:
        self.merged: list[tuple[bytes, bool]] = []

    def local_state(self, join: bool) -> bytes:
        return b"ours"

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        self.merged.append((state, join))


def test_the_application_exchanges_its_state_too() -> None:
    sharing = Sharing()
    node = Dialogue(1, delegate=sharing)

    reply = node.is_asked(PushPull(True, (line(5),), b"theirs"))
    node.is_asked(PushPull(False, (line(5),)))

    assert isinstance(reply, PushPull)
    assert reply.user_state == b"ours"
    assert sharing.merged == [(b"theirs", True)], "an empty state is not handed over"


class Choosy(Delegate):
    def accepts_merge(self, members: object) -> bool:
        return False


def test_the_application_may_refuse_a_join_but_not_the_regular_exchange() -> None:
    node = Dialogue(1, delegate=Choosy())

    node.is_asked(PushPull(True, (line(5),)))
    node.is_asked(PushPull(False, (line(6),)))

    assert (node.believes(5), node.believes(6)) == (None, State.ALIVE)


# --- leaving ---


def test_leaving_ends_when_the_news_was_told_often_enough() -> None:
    node = Dialogue(3)

    node.core.leave(node.at)
    assert not node.core.has_left
    node.waits(1)

    assert node.core.has_left
    assert Dead(1, "n0", "n0") in node.sent(Dead)


def test_who_is_alone_leaves_at_once() -> None:
    node = Dialogue()

    node.core.leave(node.at)

    assert node.core.has_left


def test_who_has_left_still_answers() -> None:
    node = Dialogue(1)
    node.core.leave(node.at)

    node.hears(Ping(7, "n0"))

    assert Ack(7) in node.sent(Ack)


# --- user messages ---


def test_a_user_message_reaches_the_application_by_packet_and_by_stream() -> None:
    node = Dialogue(1)

    node.hears(User(b"by packet"))
    node.is_asked(User(b"by stream"))

    assert node.saw(UserMessage) == [UserMessage(b"by packet"), UserMessage(b"by stream")]


def test_a_broadcast_goes_out_with_the_gossip() -> None:
    node = Dialogue(3)

    node.core.broadcast(b"hello")
    node.waits(0.2)

    assert node.sent(User) == [User(b"hello")] * 3


def test_a_broadcast_that_fits_no_packet_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most"):
        Dialogue(3).core.broadcast(bytes(1400))


def test_the_largest_broadcast_fits_a_packet_of_its_own() -> None:
    node = Dialogue(3, keyring=Keyring([bytes(16)]), label="x" * 50)

    node.core.broadcast(bytes(1400 - 2 - 29 - 52 - 3))
    node.waits(0.5)

    assert node.sent(User)


def test_a_packet_may_be_sent_to_one_member() -> None:
    node = Dialogue(2)

    node.core.send_best_effort("n2", b"hello")
    node.waits(0)

    assert node.sent(User, to=2) == [User(b"hello")]


def test_many_small_broadcasts_are_all_told_although_a_compound_has_a_limit() -> None:
    node = Dialogue(3, retransmit_mult=1)
    for number in range(300):
        node.core.broadcast(b"%d" % number)

    node.hears(Ping(1, "n0"))
    node.waits(1.0)

    assert {message.payload for message in node.sent(User)} == {b"%d" % number for number in range(300)}


@pytest.mark.parametrize(("key", "most"), [(None, 20 << 20), (b"k" * 16, (20 << 20) - 64)])
def test_a_message_that_no_peer_would_take_is_refused(key: bytes | None, most: int) -> None:
    node = Dialogue(1, keyring=Keyring([key]) if key else None)

    with pytest.raises(ConfigError, match=str(most)):
        node.core.send(node.at, "n1", bytes(most + 1))
    with pytest.raises(ConfigError, match="packet"):
        node.core.send_best_effort("n1", bytes(65_507))


@pytest.mark.parametrize("key", [None, b"k" * 16])
def test_the_largest_message_is_taken(key: bytes | None) -> None:
    node = Dialogue(1, keyring=Keyring([key]) if key else None)
    most = node.core.streams.user_message_max

    node.core.send(node.at, "n1", bytes(most))
    node.core.send_best_effort("n1", bytes(65_000))

    assert len(node.sent(User)[0].payload) == 65_000
    message = node.core.request_decoder().feed(node.dials[0].data)
    assert isinstance(message, User)
    assert len(message.payload) == most


@pytest.mark.parametrize("name", ["stranger", "n1"])
def test_messages_to_strangers_and_to_the_dead_are_refused(name: str) -> None:
    node = Dialogue(2)
    node.hears(Dead(1, "n1", "n2"))

    with pytest.raises(UnknownMember, match=name):
        node.core.send(node.at, name, b"hello")
    with pytest.raises(UnknownMember):
        node.core.send_best_effort(name, b"hello")


def test_metadata_of_more_than_512_bytes_are_refused() -> None:
    node = Dialogue()

    node.core.update_meta(node.at, bytes(512))
    with pytest.raises(ConfigError, match="512"):
        node.core.update_meta(node.at, bytes(513))


def test_a_member_needs_a_name() -> None:
    own = where(0)

    with pytest.raises(ConfigError, match="name"):
        Core("", own.address, own.port, config=Config(), rng=random.Random(1))


# --- bad input ---


def test_without_the_key_nobody_changes_anything() -> None:
    node = Dialogue(2, keyring=Keyring([b"k" * 16]))
    stranger = Dialogue(0, keyring=Keyring([b"x" * 16]))
    plain = Dialogue(0)
    before = node.core.members()

    for forged in (Dead(9, "n1", "n2"), alive(1, 9), alive(3), User(b"hello")):
        node.receives(stranger.wire.seal(b"", crc=False))
        for other in (stranger, plain):
            other.hears(alive(9))
            node.receives(other.wire.seal(encode(forged), crc=True))

    assert node.core.members() == before
    assert node.events == []
    assert node.core.counters["not authentic"] == 12


def test_a_flood_of_junk_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    node = Dialogue(1, keyring=Keyring([b"k" * 16]))

    with caplog.at_level(logging.WARNING):
        for _ in range(500):
            node.receives(b"junk")
        node.sleeps(61)
        node.receives(b"junk")

    complaints = [record for record in caplog.records if record.message == "not authentic"]
    assert [record.__dict__["count"] for record in complaints] == [1, 501]


def test_time_that_runs_backwards_does_no_harm() -> None:
    node = Dialogue(3)
    node.waits(5)
    node.at -= 100

    node.hears(alive(4))
    node.hears(Ping(7, "n0"))

    assert node.believes(4) is State.ALIVE
    assert Ack(7) in node.sent(Ack)


# --- determinism ---


def test_the_same_inputs_give_the_same_outputs() -> None:
    def story(seed: int) -> list[object]:
        node = Dialogue(20, seed=seed)
        node.waits(20)
        node.hears(alive(21), Dead(1, "n3", "n4"))
        node.waits(20)
        return [*node.packets, *node.dials, *node.events]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_a_restored_table_is_not_news() -> None:
    node = Dialogue()

    node.core.restore(node.at, (line(1), line(2)))

    assert {"n1", "n2"} <= set(node.core.members())
    node.waits(0.3)
    assert node.sent(Alive) == []
    assert {event.member.name for event in node.saw(MemberJoined)} == {"n1", "n2"}
