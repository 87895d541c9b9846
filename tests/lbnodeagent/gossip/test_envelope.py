"""Envelopes around what agents say: what counts, what doesn't, and what is remembered."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.envelope import (
    SENDERS_MAX,
    WINDOW,
    Envelope,
    Life,
    Recipient,
    Ruling,
    Sender,
    admits_bare,
    opened,
)
from lbnodeagent.gossip.meta import HandoverMessage, decode_message, encode_messages

OURS, THEIRS, EARLIER = Life(b"ours--"), Life(b"theirs"), Life(b"before")
names = st.text(min_size=1, max_size=60)
lives = st.binary(min_size=6, max_size=6).map(Life)
numbers = st.integers(1, 300)


def message(number: int, *, life: Life = THEIRS, audience: Life = OURS, sender: str = "w11") -> Envelope:
    return Envelope(sender, life, audience, number, b"what is said")


def sealed(count: int) -> list[Envelope]:
    sender = Sender("w11", THEIRS)
    found = [opened(sender.seal(b"%d" % number, OURS)) for number in range(count)]
    return [envelope for envelope in found if envelope is not None]


@given(names, lives, lives, st.binary(max_size=1400))
def test_what_is_put_into_an_envelope_comes_out_of_it(name: str, life: Life, audience: Life, payload: bytes) -> None:
    sender = Sender(name, life)

    first, second = opened(sender.seal(payload, audience)), opened(sender.seal(payload, audience))

    assert first == Envelope(name, life, audience, 1, payload)
    assert second == dataclasses.replace(first, number=2)


@given(st.binary(max_size=80), st.integers(0, 80))
def test_garbage_raises_nothing_but_meta_errors(garbage: bytes, cut: int) -> None:
    whole = Sender("w11", THEIRS).seal(b"", OURS)
    for data in (garbage, b"PL\x01e" + garbage, whole[:cut]):
        try:
            opened(data)
        except MetaError:
            continue


@pytest.mark.parametrize(
    "data", [b"PL\x01e", b"PL\x01e" + bytes(20) + b"\x05abc", b"PL\x01e" + bytes(20) + b"\x01\xff"]
)
def test_an_envelope_that_is_cut_off_or_has_no_readable_name_is_an_error(data: bytes) -> None:
    with pytest.raises(MetaError):
        opened(data)


# --- what counts ---


def test_a_message_counts_once() -> None:
    recipient = Recipient(OURS)

    assert recipient.rule(message(1), THEIRS) is Ruling.TAKEN
    assert recipient.rule(message(1), THEIRS) is Ruling.REPEATED


def test_messages_that_overtake_each_other_all_count() -> None:
    recipient = Recipient(OURS)

    assert {recipient.rule(message(number), THEIRS) for number in (3, 1, 2)} == {Ruling.TAKEN}


def test_a_recording_of_the_senders_earlier_life_does_not_count() -> None:
    assert Recipient(OURS).rule(message(1, life=EARLIER), THEIRS) is Ruling.EARLIER_LIFE


def test_a_recording_from_before_our_own_start_does_not_count() -> None:
    assert Recipient(OURS).rule(message(1, audience=EARLIER), THEIRS) is Ruling.OTHER_AUDIENCE


def test_somebody_who_is_no_member_has_no_say() -> None:
    assert Recipient(OURS).rule(message(1), None) is Ruling.STRANGER


def test_a_member_that_is_brought_back_as_it_was_is_not_heard_twice() -> None:
    recipient = Recipient(OURS)
    recipient.rule(message(1), THEIRS)
    recipient.rule(message(1, life=Life(b"after-")), Life(b"after-"))

    assert recipient.rule(message(1), THEIRS) is Ruling.REPEATED


def test_a_refused_message_takes_no_number() -> None:
    recipient = Recipient(OURS)
    recipient.rule(message(200, life=EARLIER), THEIRS)
    recipient.rule(message(200, audience=EARLIER), THEIRS)

    assert recipient.rule(message(1), THEIRS) is Ruling.TAKEN


@given(st.lists(numbers))
def test_whatever_comes_in_whatever_order_a_number_counts_at_most_once_and_never_from_behind_the_window(
    order: list[int],
) -> None:
    recipient = Recipient(OURS)
    taken: set[int] = set()

    for number in order:
        newest = max(taken, default=0)
        if number <= newest - WINDOW:
            expected = Ruling.LATE
        else:
            expected = Ruling.REPEATED if number in taken else Ruling.TAKEN
        assert recipient.rule(message(number), THEIRS) is expected
        if expected is Ruling.TAKEN:
            taken.add(number)


@given(st.integers(1, 200), st.sets(st.integers(0, 199)))
def test_what_arrives_in_order_counts_whatever_was_lost_between(count: int, lost: set[int]) -> None:
    recipient = Recipient(OURS)
    arrived = [envelope for number, envelope in enumerate(sealed(count)) if number not in lost]

    assert all(recipient.rule(envelope, THEIRS) is Ruling.TAKEN for envelope in arrived)
    assert not any(recipient.rule(envelope, THEIRS) is Ruling.TAKEN for envelope in arrived)


@given(st.lists(st.tuples(st.sampled_from("abc"), lives, lives, numbers), max_size=60), lives)
def test_other_lives_never_count(recorded: list[tuple[str, Life, Life, int]], known: Life) -> None:
    recipient = Recipient(OURS)

    for sender, life, audience, number in recorded:
        ruling = recipient.rule(message(number, sender=sender, life=life, audience=audience), known)
        if life != known or audience != OURS:
            assert ruling in (Ruling.EARLIER_LIFE, Ruling.OTHER_AUDIENCE)


def test_memory_has_bounds() -> None:
    recipient = Recipient(OURS)

    for number in range(SENDERS_MAX + 100):
        recipient.rule(message(1, sender=f"w{number}"), THEIRS)

    assert len(recipient) == SENDERS_MAX
    assert recipient.rule(message(1, sender=f"w{SENDERS_MAX}"), THEIRS) is Ruling.REPEATED


# --- beside agents that know no envelopes ---


def test_an_older_agent_passes_over_an_envelope() -> None:
    (bare,) = encode_messages(HandoverMessage("ask", "w11", (ipaddress.IPv4Address("10.31.188.200"),)))

    assert decode_message(Sender("w11", THEIRS).seal(bare, OURS)) is None
    assert opened(bare) is None


def test_an_envelope_around_the_largest_message_fits_a_packet_of_the_gossip() -> None:
    vips = tuple(ipaddress.IPv6Address(number) for number in range(200))

    for bare in encode_messages(HandoverMessage("have", "n" * 63, vips)):
        assert len(Sender("n" * 63, THEIRS).seal(bare, OURS)) < 1300


def test_a_bare_message_counts_only_from_an_older_agent() -> None:
    assert admits_bare(None)
    assert not admits_bare(THEIRS)
