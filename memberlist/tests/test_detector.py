"""The failure detector: probes, relays, verdicts, and our own health."""

from collections.abc import Callable

import pytest

from dialogue import Dialogue, address, alive, where
from memberlist.config import Config
from memberlist.delegate import Delegate
from memberlist.detours import IN_A_ROW
from memberlist.events import Member
from memberlist.messages import Ack, Dead, IndirectPing, Nack, Ping, State, Suspect

OURS = (address(0), 7946, "n0")


# --- answering ---


def test_a_ping_is_answered_where_it_says_or_else_where_it_came_from() -> None:
    node = Dialogue(2)

    node.hears(Ping(7, "n0", address(2), 7946, "n2"), source=1)
    node.hears(Ping(8, "n0"), source=1)

    assert node.sent(Ack, to=2) == [Ack(7)]
    assert node.sent(Ack, to=1) == [Ack(8)]


def test_a_ping_for_another_name_is_not_answered_and_one_for_any_is() -> None:
    node = Dialogue(1)

    node.hears(Ping(7, "somebody else"))
    node.hears(Ping(8, ""))

    assert node.sent(Ack) == [Ack(8)]


def test_a_ping_over_tcp_is_answered_on_the_same_stream() -> None:
    node = Dialogue(1)

    assert node.is_asked(Ping(7, "n0")) == Ack(7)
    assert node.is_asked(Ping(7, "somebody else")) is None


class Measuring(Delegate):
    def __init__(self) -> None:
        self.pings: list[tuple[str, float, bytes]] = []

    def ack_payload(self) -> bytes:
        return b"coordinates"

    def ping_completed(self, member: Member, seconds: float, payload: bytes) -> None:
        self.pings.append((member.name, round(seconds, 6), payload))


def test_the_application_may_add_to_answers_and_learn_round_trip_times() -> None:
    measuring = Measuring()
    node = Dialogue(1, delegate=measuring)
    _, ping = node.waits_for_a_probe()

    node.sleeps(0.0125)
    node.hears(Ack(ping.sequence, b"theirs"))
    node.hears(Ping(3, "n0"))

    assert measuring.pings == [("n1", 0.0125, b"theirs")]
    assert node.sent(Ack) == [Ack(3, b"coordinates")]


# --- a probe round ---


def test_one_member_is_probed_per_interval() -> None:
    node = Dialogue(3)

    targets = []
    for _ in range(6):
        target, ping = node.waits_for_a_probe()
        node.hears(Ack(ping.sequence))
        targets.append(target)

    assert sorted(targets[:3]) == sorted(targets[3:]) == [1, 2, 3]


def test_when_probes_begin_is_known_beforehand() -> None:
    node = Dialogue(3)
    _, ping = node.waits_for_a_probe()
    node.hears(Ack(ping.sequence))
    begun, interval = node.at, Config().probe_interval

    assert node.core.turn_until(begun + 0.9 * interval) is None
    assert node.core.turn_until(begun + 1.5 * interval) == pytest.approx(begun + interval)
    assert node.core.turn_until(begun + 3.5 * interval) == pytest.approx(begun + 3 * interval)
    node.waits_for_a_probe()
    assert node.at == pytest.approx(begun + interval)


def test_every_so_many_turns_are_for_the_next_member_by_name_whatever_the_random_order_says() -> None:
    node = Dialogue(5, watch_turns=2)

    targets = []
    for _ in range(10):
        target, ping = node.waits_for_a_probe()
        node.hears(Ack(ping.sequence))
        targets.append(target)

    assert targets[1::2] == [1] * 5
    assert sorted(targets[0::2]) == [1, 2, 3, 4, 5]


def test_a_probe_may_end_before_the_next_turn_comes() -> None:
    node = Dialogue(4, probe_length=0.6)
    target, _ = node.waits_for_a_probe()

    node.waits(0.59)
    assert node.believes(target) is State.ALIVE
    node.waits(0.02)
    assert node.believes(target) is State.SUSPECT


def test_who_asked_in_vain_for_us_has_answered_us_all_the_same() -> None:
    node = Dialogue(3)
    _, ping = node.waits_for_a_probe()
    node.waits(0.6)
    before = node.core.answered_at

    node.hears(Nack(ping.sequence + 7))
    assert node.core.answered_at == before
    node.hears(Nack(ping.sequence))
    assert node.core.answered_at > before


def test_an_answer_in_time_asks_nobody_else() -> None:
    node = Dialogue(3)
    _, ping = node.waits_for_a_probe()
    assert (ping.source_address, ping.source_port, ping.source_node) == OURS

    node.waits(0.4)
    node.hears(Ack(ping.sequence))
    node.waits(0.3)

    assert node.sent(IndirectPing) == []
    assert node.dials == []


def test_without_an_answer_others_are_asked_and_tcp_is_tried() -> None:
    node = Dialogue(4)
    target, ping = node.waits_for_a_probe()

    node.waits(0.501)

    asked = node.sent(IndirectPing)
    assert len(asked) == 3
    assert {(request.sequence, request.node, request.nack) for request in asked} == {
        (ping.sequence, f"n{target}", True)
    }
    assert node.sent(IndirectPing, to=target) == []
    assert [dial.to for dial in node.dials] == [where(target)]


def test_no_answer_at_all_makes_a_member_suspect_at_the_end_of_the_interval() -> None:
    node = Dialogue(4)
    target, _ = node.waits_for_a_probe()

    node.waits(0.99)
    assert node.believes(target) is State.ALIVE
    node.waits(0.02)

    assert node.believes(target) is State.SUSPECT


@pytest.mark.parametrize("helper", [1, 2, 3, 4])
def test_an_answer_through_somebody_else_counts(helper: int) -> None:
    node = Dialogue(4)
    target, ping = node.waits_for_a_probe()

    node.waits(0.6)
    node.hears(Ack(ping.sequence), source=helper)
    node.waits(0.45)

    assert node.believes(target) is State.ALIVE


def test_an_answer_by_tcp_counts_at_the_end() -> None:
    node = Dialogue(4)
    target, ping = node.waits_for_a_probe()
    node.waits(0.6)
    (dial,) = node.dials

    node.core.dial_answered(node.at, dial.id, Ack(ping.sequence), dial.to)
    node.waits(0.45)

    assert node.believes(target) is State.ALIVE
    assert node.core.health == 0
    assert node.core.counters["UDP unanswered"] == 1


def probed(node: Dialogue, answer: Callable[[int, Ping], None]) -> int:
    """Each probe but the last is answered so, until one member is known by detours; the member."""
    for _ in range(100):
        target, ping = node.waits_for_a_probe()
        node.waits(0.6)
        answer(target, ping)
        if node.core.by_detour():
            return target
    raise AssertionError("nobody is known by detours")


def test_who_answers_by_tcp_alone_again_and_again_is_known_for_it_until_a_packet_comes() -> None:
    node = Dialogue(1)

    def by_tcp(_: int, ping: Ping) -> None:
        dial = node.dials[-1]
        node.core.dial_answered(node.at, dial.id, Ack(ping.sequence), dial.to)
        node.waits(0.399)  # its round ends with the interval, when the next one begins

    target = probed(node, by_tcp)
    assert node.core.by_detour() == {f"n{target}"}
    assert node.core.counters["UDP unanswered"] == IN_A_ROW

    target, ping = node.waits_for_a_probe()
    node.hears(Ack(ping.sequence), source=target)
    assert node.core.by_detour() == frozenset()


def test_who_answers_through_others_alone_is_known_for_it_and_who_answers_late_is_not() -> None:
    node = Dialogue(2)
    probed(node, lambda target, ping: node.hears(Ack(ping.sequence), source=3 - target))
    assert node.core.by_detour()

    late = Dialogue(2)
    with pytest.raises(AssertionError, match="nobody"):
        probed(late, lambda target, ping: late.hears(Ack(ping.sequence), source=target))


@pytest.mark.parametrize("answer", [Ack(999_999), Ping(1, "n0")])
def test_a_wrong_answer_by_tcp_does_not_count(answer: Ack | Ping) -> None:
    node = Dialogue(4)
    target, _ = node.waits_for_a_probe()
    node.waits(0.6)
    (dial,) = node.dials

    node.core.dial_answered(node.at, dial.id, answer, dial.to)
    node.waits(0.45)

    assert node.believes(target) is State.SUSPECT


def test_a_machine_that_accepts_the_connection_gets_more_time_once() -> None:
    node = Dialogue(4, busy_grace=2.0)
    target, _ = node.waits_for_a_probe()
    node.waits(0.6)
    (dial,) = node.dials

    node.core.dial_accepted(dial.id)
    node.waits(0.5)
    assert node.believes(target) is State.ALIVE
    assert {to for to in range(1, 5) if node.sent(Ping, to=to)} - {target}  # the others have their turn meanwhile

    node.waits(1.95)
    assert node.believes(target) is State.SUSPECT


def test_an_answer_in_the_time_that_a_busy_machine_gets_counts() -> None:
    node = Dialogue(1, busy_grace=2.0)
    target, ping = node.waits_for_a_probe()
    node.waits(0.6)
    node.core.dial_accepted(node.dials[0].id)

    node.waits(1.3)
    node.hears(Ack(ping.sequence))

    assert node.believes(target) is State.ALIVE
    assert node.core.health == 0


def test_a_machine_that_accepts_nothing_gets_no_more_time() -> None:
    node = Dialogue(4, busy_grace=2.0)
    target, _ = node.waits_for_a_probe()

    node.waits(1.01)

    assert node.believes(target) is State.SUSPECT


def test_memberlists_profile_knows_no_such_grace() -> None:
    node = Dialogue(4)
    target, _ = node.waits_for_a_probe()
    node.waits(0.6)

    node.core.dial_accepted(node.dials[0].id)
    node.waits(0.45)

    assert node.believes(target) is State.SUSPECT


def test_members_too_old_for_tcp_pings_and_nacks_are_not_asked_for_them() -> None:
    node = Dialogue()
    for number in (1, 2, 3):
        node.hears(alive(number, versions=bytes([1, 2, 2, 0, 0, 0])))
    node.waits_for_a_probe()

    node.waits(0.6)

    assert node.dials == []
    assert {request.nack for request in node.sent(IndirectPing)} == {False}


def test_a_suspect_is_told_of_the_suspicion_in_the_same_packet_as_the_ping() -> None:
    node = Dialogue(1)
    node.hears(Suspect(1, "n1", "n9"))

    target, ping = node.waits_for_a_probe()

    (packet,) = [messages for to, messages in node.packets if to == where(target)]
    assert packet == [ping, Suspect(1, "n1", "n0")]


def test_answers_that_nobody_waits_for_are_ignored() -> None:
    node = Dialogue(2)

    node.hears(Ack(12345), Nack(12345))

    assert node.packets == []
    assert node.core.health == 0


def test_when_our_own_side_can_not_send_nobody_is_blamed() -> None:
    node = Dialogue(4)
    target, _ = node.waits_for_a_probe()

    node.core.packet_not_sent(node.at, where(target))
    node.waits(0.9)

    assert node.believes(target) is State.ALIVE
    assert node.sent(IndirectPing) == []


def test_who_can_not_be_reached_is_asked_for_by_other_ways_at_once() -> None:
    node = Dialogue(4)
    target, _ = node.waits_for_a_probe()

    node.core.packet_refused(node.at, where(target))
    node.waits(0)

    assert len(node.sent(IndirectPing)) == 3
    assert [dial.to for dial in node.dials] == [where(target)]
    node.waits(1.01)
    assert node.believes(target) is State.SUSPECT


# --- relaying ---


def test_a_relay_pings_under_a_number_of_its_own_and_passes_the_answer_back() -> None:
    node = Dialogue(2)

    node.hears(IndirectPing(77, address(2), 7946, "n2", True, address(1), 7946, "n1"))
    (ping,) = node.sent(Ping, to=2)
    node.hears(Ack(ping.sequence, b"payload"), source=2)

    assert ping.sequence != 77
    assert (ping.node, ping.source_address, ping.source_port, ping.source_node) == ("n2", *OURS)
    assert node.sent(Ack, to=1) == [Ack(77)], "a relayed answer carries no payload"


@pytest.mark.parametrize(("wanted", "nacks"), [(True, [Nack(77)]), (False, [])])
def test_a_relay_without_an_answer_says_so_if_that_was_wanted(wanted: bool, nacks: list[Nack]) -> None:
    node = Dialogue(2)
    node.hears(IndirectPing(77, address(2), 7946, "n2", wanted, address(1), 7946, "n1"))

    node.waits(0.499)
    assert node.sent(Nack) == []
    node.waits(0.002)

    assert node.sent(Nack, to=1) == nacks


def test_a_member_can_not_be_made_to_flood_anybody() -> None:
    node = Dialogue(2)

    for number in range(3000):
        node.hears(IndirectPing(number, address(2), 7946, "n2", True, address(1), 7946, "n1"))

    assert len(node.sent(Ping, to=2)) == 1024


# --- our own health (Lifeguard) ---


def failed_probe(node: Dialogue, nacks: int) -> None:
    _, ping = node.waits_for_a_probe()
    node.waits(0.6)
    node.hears(*[Nack(ping.sequence)] * nacks) if nacks else None
    node.waits(0.45)


@pytest.mark.parametrize(("nacks", "worse"), [(0, 3), (1, 2), (3, 0)])
def test_missing_nacks_make_us_doubt_ourselves(nacks: int, worse: int) -> None:
    node = Dialogue(4)

    failed_probe(node, nacks)

    assert node.core.health == worse


def test_a_failure_with_nobody_to_ask_makes_us_doubt_ourselves_a_little() -> None:
    node = Dialogue(1)

    failed_probe(node, nacks=0)

    assert node.core.health == 1


def test_in_doubt_we_give_more_time() -> None:
    node = Dialogue(4)
    failed_probe(node, nacks=2)
    *_, ping = node.sent(Ping)  # the next one is 50 ms under way, and may take 2 seconds
    target = int(ping.node[1:])

    node.waits(1.9)
    assert node.believes(target) is State.ALIVE
    node.waits(0.1)

    assert node.believes(target) is State.SUSPECT


def test_each_success_restores_confidence() -> None:
    node = Dialogue(4)
    failed_probe(node, nacks=1)
    *_, ping = node.sent(Ping)  # the next one is under way

    node.hears(Ack(ping.sequence))

    assert node.core.health == 1


# --- lateness ---


def test_after_being_stopped_the_others_get_the_time_back() -> None:
    node = Dialogue(4)
    target, ping = node.waits_for_a_probe()

    node.sleeps(30)
    node.wakes()
    assert node.believes(target) is State.ALIVE
    assert node.core.health == 1
    node.hears(Ack(ping.sequence))
    node.waits(0.4)

    assert node.believes(target) is State.ALIVE


def test_after_being_stopped_a_suspect_has_its_time_to_refute() -> None:
    node = Dialogue(2)
    node.hears(Suspect(1, "n1", "n2"))
    node.waits(3.5)

    node.sleeps(60)
    node.wakes()
    assert node.believes(1) is State.SUSPECT
    node.hears(alive(1, 2))

    assert node.believes(1) is State.ALIVE


# --- confirming suspicions out of turn ---


def test_in_the_fast_profile_a_suspicion_is_checked_at_once() -> None:
    node = Dialogue(4, confirmers=Config.fast().confirmers)

    node.hears(Suspect(1, "n2", "n1"))

    assert len(node.sent(Ping, to=2)) == 1


def test_who_gives_a_busy_machine_time_looks_anew_when_somebody_else_suspects_it() -> None:
    """The connection may have been accepted just before the cable was cut."""
    node = Dialogue(5, confirmers=100.0, busy_grace=2.0)
    target, _ = node.waits_for_a_probe()
    node.waits(0.6)
    node.core.dial_accepted(node.dials[0].id)
    node.waits(0.5)
    node.forget()

    node.hears(Suspect(1, f"n{target}", f"n{target % 5 + 1}"))

    assert node.sent(Ping, to=target) != []


def test_in_memberlists_profile_it_is_not() -> None:
    node = Dialogue(4)

    node.hears(Suspect(1, "n2", "n1"))

    assert node.sent(Ping, to=2) == []


def test_in_a_large_cluster_only_some_check() -> None:
    checking = 0
    for seed in range(200):
        node = Dialogue(40, seed=seed, confirmers=4.0)
        node.hears(Suspect(1, "n2", "n1"))
        checking += len(node.sent(Ping, to=2))

    assert 8 <= checking <= 40, "4 of 39, so about 20 in 200 tries"


def test_a_dead_member_is_probed_no_more() -> None:
    node = Dialogue(2)
    node.hears(Dead(1, "n1", "n2"))

    targets = set()
    for _ in range(5):
        target, ping = node.waits_for_a_probe()
        node.hears(Ack(ping.sequence))
        targets.add(target)

    assert targets == {2}
