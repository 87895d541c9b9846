"""What a run of the agent believes of what its peers write."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from lbnodeagent.gossip.correspondence import Correspondence
from lbnodeagent.gossip.envelope import WINDOW, Life
from lbnodeagent.gossip.events import PeerGone
from lbnodeagent.gossip.flowsmessage import FlowsMessage, encode_flows
from lbnodeagent.gossip.meta import MAXIMUM, HandoverMessage, Meta, decode_meta, encode_messages, encode_meta
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayMessage, StrayQuestion, encode_strays
from lbnodeagent.tables import Mac
from memberlist.events import Member, MemberFailed, MemberJoined, UserMessage, Versions
from memberlist.messages import State

ONE, TWO, THREE = (Life(bytes([number]) * 6) for number in (1, 2, 3))
MESSAGE = HandoverMessage("ask", "w11", (ip_address("10.31.188.64"),), is_leaving=True)


def member(name: str, meta: bytes) -> Member:
    return Member(name, ip_address("10.31.188.11"), 7934, meta, State.ALIVE, 1, Versions())


def introduced(sender: Correspondence, recipient: Correspondence) -> None:
    """Each has heard of the other."""
    sender.hear(MemberJoined(member("w12", recipient.meta(Meta()))))
    recipient.hear(MemberJoined(member("w11", sender.meta(Meta()))))


def test_a_message_counts_once() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    introduced(sender, recipient)
    (payload,) = sender.write("w12", MESSAGE)

    assert recipient.hear(UserMessage(payload)) == MESSAGE
    assert recipient.hear(UserMessage(payload)) is None
    assert recipient.refused == 1


def test_a_recording_means_nothing_to_the_next_run_of_either_agent() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    introduced(sender, recipient)
    (payload,) = sender.write("w12", MESSAGE)

    recipient.hear(MemberJoined(member("w11", Correspondence("w11", THREE).meta(Meta()))))
    assert recipient.hear(UserMessage(payload)) is None

    started_anew = Correspondence("w12", THREE)
    started_anew.hear(MemberJoined(member("w11", sender.meta(Meta()))))
    assert started_anew.hear(UserMessage(payload)) is None


def test_an_agent_from_before_is_understood_until_it_has_a_life() -> None:
    recipient = Correspondence("w12", TWO)
    recipient.hear(MemberJoined(member("w11", encode_meta(Meta(is_ready=True)))))
    (bare,) = encode_messages(MESSAGE)
    assert recipient.hear(UserMessage(bare)) == MESSAGE
    assert recipient.write("w11", MESSAGE) == [bare]

    recipient.hear(MemberJoined(member("w11", Correspondence("w11", ONE).meta(Meta()))))

    assert recipient.hear(UserMessage(bare)) is None, "its older recordings are worth nothing now"


def test_an_envelope_carries_its_own_senders_words_only() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    introduced(sender, recipient)
    (payload,) = sender.write("w12", replace(MESSAGE, sender="w13"))

    assert recipient.hear(UserMessage(payload)) is None


def test_who_is_gone_is_not_written_to_in_an_envelope() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    introduced(sender, recipient)

    assert sender.hear(MemberFailed(member("w12", b""))) == PeerGone("w12", for_good=False)
    assert sender.write("w12", MESSAGE) == encode_messages(MESSAGE)


def test_garbage_is_counted_and_nothing_else() -> None:
    recipient = Correspondence("w12", TWO)

    assert recipient.hear(UserMessage(b"PL\x01e")) is None
    assert recipient.hear(UserMessage(b"PL\x01a\x00\x09")) is None
    assert recipient.hear(UserMessage(b"serf's own")) is None


def test_the_longest_message_fits_into_a_packet() -> None:
    name = "n" * 253
    sender, recipient = Correspondence(name, ONE), Correspondence("w12", TWO)
    sender.hear(MemberJoined(member("w12", recipient.meta(Meta()))))
    vips = tuple(ip_address(f"fd00::{number:x}") for number in range(1, 200))

    assert max(map(len, sender.write("w12", HandoverMessage("ask", name, vips)))) < 1400 - 40


def test_a_life_stands_where_agents_from_before_read_a_mac() -> None:
    macs = frozenset(Mac(bytes([number] * 6)) for number in range(10, 40))
    data = encode_meta(Meta(life=ONE, macs=macs))

    said = decode_meta(data)

    assert said is not None
    assert said.life == ONE
    assert len(said.macs) == 17
    assert len(data) <= MAXIMUM


FLOWS = FlowsMessage("w11", ip_address("10.31.188.64"), ip_address("10.31.188.11"), (bytes(9),), is_first=True)


def test_a_message_of_flows_counts_once_however_many_packets_overtake_it() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    introduced(sender, recipient)
    (flows,) = sender.write_flows("w12", FLOWS)
    for _ in range(2 * WINDOW):
        (payload,) = sender.write("w12", MESSAGE)
        recipient.hear(UserMessage(payload))

    assert recipient.hear(UserMessage(flows)) == FLOWS
    assert recipient.hear(UserMessage(flows)) is None


@pytest.mark.parametrize(
    "message",
    [
        StrayQuestion("w11", 1, ip_address("10.31.188.11"), (bytes(12),)),
        StrayAnswer("w11", 1, ip_address("10.31.188.11"), ((0, 9),)),
    ],
)
def test_strays_are_asked_for_and_answered_in_an_envelope_that_counts_once(message: StrayMessage) -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    assert sender.write_strays("w12", message) == []
    introduced(sender, recipient)
    (sealed,) = sender.write_strays("w12", message)

    assert recipient.hear(UserMessage(encode_strays(message))) is None
    assert recipient.hear(UserMessage(sealed)) == message
    assert recipient.hear(UserMessage(sealed)) is None
    (stolen,) = sender.write_strays("w12", replace(message, sender="w13"))
    assert recipient.hear(UserMessage(stolen)) is None


def test_flows_are_told_in_an_envelope_or_not_at_all() -> None:
    sender, recipient = Correspondence("w11", ONE), Correspondence("w12", TWO)
    assert sender.write_flows("w12", FLOWS) == []

    introduced(sender, recipient)
    assert recipient.hear(UserMessage(encode_flows(FLOWS)[0])) is None
    (stolen,) = sender.write_flows("w12", replace(FLOWS, sender="w13"))
    assert recipient.hear(UserMessage(stolen)) is None
