"""Which news counts: examples of each rule, and the laws that hold for every order in which news can come."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from purelb.ordering import Change, Changed, Deleted, News, ObjectKey, Ordering, Replaced, State, changes

WEB = ObjectKey("default", "web")


def state(version: int, item: str | None = "web", uid: str = "u1", key: ObjectKey = WEB) -> State[str]:
    return State(key, uid, str(version), item)


def listed(version: int, *states: State[str]) -> Ordering[str]:
    ordering: Ordering[str] = Ordering()
    ordering.listed({one.key: one.item for one in states if one.item is not None}, str(version))
    return ordering


def test_a_list_tells_all_there_is() -> None:
    ordering: Ordering[str] = Ordering()

    assert ordering.listed({WEB: "web"}, "7") == Replaced({WEB: "web"}, "7", epoch=0)
    assert ordering.position == "7"


def test_an_event_changes_or_deletes() -> None:
    ordering = listed(7)

    assert ordering.heard(state(8, "a"), is_deleted=False) == Changed(WEB, "a")
    assert ordering.heard(state(9, "a"), is_deleted=True) == Deleted(WEB, "u1")
    assert ordering.position == "9"


def test_an_object_that_is_of_no_interest_any_more_is_gone() -> None:
    assert listed(7).heard(state(8, None), is_deleted=False) == Deleted(WEB, "u1")


def test_the_answer_to_a_write_is_told_at_once_and_the_watch_does_not_repeat_it() -> None:
    ordering = listed(7, state(6))

    assert ordering.answered(state(9, "ours"), ordering.epoch) == Changed(WEB, "ours")
    assert ordering.heard(state(8, "older"), is_deleted=False) is None
    assert ordering.heard(state(9, "ours"), is_deleted=False) is None
    assert ordering.heard(state(10, "newer"), is_deleted=False) == Changed(WEB, "newer")


def test_the_same_answer_twice_is_told_once() -> None:
    ordering = listed(7, state(6))

    assert ordering.answered(state(9, "ours"), ordering.epoch) is not None
    assert ordering.answered(state(9, "ours"), ordering.epoch) is None
    assert ordering.answered(state(8, "an earlier write"), ordering.epoch) is None


def test_an_answer_does_not_bring_back_what_was_heard_to_be_deleted() -> None:
    ordering = listed(7, state(6))

    assert ordering.heard(state(10), is_deleted=True) == Deleted(WEB, "u1")

    assert ordering.answered(state(9, "ghost"), ordering.epoch) is None


def test_an_answer_does_not_bring_back_what_a_list_does_not_have() -> None:
    assert listed(10).answered(state(9, "ghost"), 0) is None


def test_a_deletion_ends_what_an_answer_told() -> None:
    ordering = listed(7, state(6))
    ordering.answered(state(9, "ours"), ordering.epoch)

    assert ordering.heard(state(10), is_deleted=True) == Deleted(WEB, "u1")


def test_the_answer_to_a_deletion_does_not_outlive_its_event() -> None:
    """It shows the last form of the object, with the version of the event that takes it away."""
    ordering = listed(7, state(6))
    ordering.answered(state(9, "gone"), ordering.epoch)

    assert ordering.heard(state(9, "gone"), is_deleted=True) == Deleted(WEB, "u1")


def test_the_deletion_of_an_earlier_object_of_that_name_is_passed_over() -> None:
    ordering = listed(7, state(6))
    ordering.answered(state(9, "the new one", uid="u2"), ordering.epoch)

    assert ordering.heard(state(8, uid="u1"), is_deleted=True) is None


def test_a_list_does_not_undo_a_write_that_was_answered_while_it_was_made() -> None:
    ordering = listed(7, state(6))
    ordering.listing()
    ordering.answered(state(9, "ours"), ordering.epoch)

    assert ordering.listed({WEB: "before our write"}, "8").items == {WEB: "ours"}
    assert ordering.listed({WEB: "after it"}, "9").items == {WEB: "after it"}


def test_a_list_that_was_asked_for_after_an_answer_is_the_truth_whatever_its_number() -> None:
    ordering = listed(7, state(6))
    ordering.answered(state(9, "of a history that is no more"), ordering.epoch)
    ordering.listing()

    assert ordering.listed({WEB: "restored"}, "8").items == {WEB: "restored"}


def test_a_list_from_before_what_was_told_is_the_truth_and_begins_a_new_epoch() -> None:
    ordering = listed(70, state(60))
    ordering.answered(state(71, "lost"), ordering.epoch)

    assert ordering.is_behind("50")
    assert ordering.listed({WEB: "restored"}, "50") == Replaced({WEB: "restored"}, "50", epoch=1)
    assert ordering.heard(state(51, "after"), is_deleted=False) == Changed(WEB, "after")


def test_the_answer_to_a_request_of_an_earlier_epoch_is_no_news() -> None:
    ordering = listed(70)
    sent_in = ordering.epoch
    ordering.listed({}, "50")

    assert ordering.answered(state(71, "of a history that is no more"), sent_in) is None


def test_before_the_first_list_an_answer_is_no_news() -> None:
    ordering: Ordering[str] = Ordering()

    assert ordering.answered(state(9), ordering.epoch) is None


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    ordering: Ordering[str] = Ordering()
    ordering.listed({}, "a")

    assert ordering.heard(State(WEB, "u1", "c", "one"), is_deleted=False) == Changed(WEB, "one")
    assert ordering.heard(State(WEB, "u1", "b", "two"), is_deleted=False) == Changed(WEB, "two")
    assert ordering.answered(State(WEB, "u1", "d", "three"), ordering.epoch) is None
    assert not ordering.is_behind("a")


# --- every order ------------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A server's history of one collection, which can go back, and what is on its way to the one who follows it."""

    chance: random.Random
    version: int = 1
    objects: dict[ObjectKey, State[str]] = field(default_factory=dict)
    events: list[tuple[State[str], bool]] = field(default_factory=list)
    answers: list[tuple[State[str], int]] = field(default_factory=list)
    snapshot: tuple[int, dict[ObjectKey, State[str]]] = (1, {})

    def write(self, epoch: int) -> None:
        """Somebody, perhaps ourselves, creates, changes or deletes an object."""
        self.version += self.chance.randint(1, 2)
        key = ObjectKey("default", self.chance.choice("ab"))
        known = self.objects.get(key)
        if known is not None and self.chance.random() < 0.4:
            del self.objects[key]
            self.events.append((known._replace(resource_version=str(self.version)), True))
            return
        uid = known.uid if known is not None else f"u{self.version}"
        item = None if self.chance.random() < 0.2 else f"{key} at {self.version}"
        self.objects[key] = State(key, uid, str(self.version), item)
        self.events.append((self.objects[key], False))
        if self.chance.random() < 0.6:
            self.answers.append((self.objects[key], epoch))

    def items(self) -> dict[ObjectKey, str]:
        return {key: one.item for key, one in self.objects.items() if one.item is not None}

    def list_for(self, ordering: Ordering[str]) -> Replaced[str]:
        ordering.listing()
        listed = self.items(), str(self.version)
        self.events.clear()
        if self.answers and self.chance.random() < 0.5:
            self.write(ordering.epoch)
            ordering.answered(*self.answers[-1])
        return ordering.listed(*listed)

    def restore(self) -> None:
        """etcd is restored from the snapshot that was made last: what was on its way by the watch is lost."""
        self.version, objects = self.snapshot[0], dict(self.snapshot[1])
        self.objects, self.events = objects, []


@dataclass
class Consumer:
    """Applies what it is told."""

    items: dict[ObjectKey, str] = field(default_factory=dict)

    def take(self, news: News[str] | None) -> None:
        match news:
            case Replaced(items):
                self.items = dict(items)
            case Changed(key, item):
                self.items[key] = item
            case Deleted(key):
                self.items.pop(key, None)
            case None:
                pass


def history(seed: int, *, restores: bool) -> Iterator[tuple[Cluster, Ordering[str], Consumer, Change[str] | None]]:
    """A random life; each step is seen, with the answer's news if it was an answer."""
    chance = random.Random(seed)
    cluster, ordering, consumer = Cluster(chance), Ordering[str](), Consumer()
    consumer.take(ordering.listed(cluster.items(), str(cluster.version)))
    for _ in range(60):
        told: Change[str] | None = None
        match chance.choice(["write", "write", "event", "event", "answer", "list", "bookmark", "snapshot", "restore"]):
            case "write":
                cluster.write(ordering.epoch)
            case "event" if cluster.events:
                heard, is_deleted = cluster.events.pop(0)
                consumer.take(ordering.heard(heard, is_deleted=is_deleted))
            case "answer" if cluster.answers:
                told = ordering.answered(*cluster.answers.pop(chance.randrange(len(cluster.answers))))
                consumer.take(told)
            case "list" if chance.random() < 0.5:
                consumer.take(cluster.list_for(ordering))
            case "bookmark" if not cluster.events:
                ordering.passed(str(cluster.version))
            case "snapshot":
                cluster.snapshot = cluster.version, dict(cluster.objects)
            case "restore" if restores and chance.random() < 0.3:
                cluster.restore()
                if ordering.is_behind(str(cluster.version)):
                    consumer.take(cluster.list_for(ordering))
            case _:
                pass
        yield cluster, ordering, consumer, told
    while cluster.events:
        heard, is_deleted = cluster.events.pop(0)
        consumer.take(ordering.heard(heard, is_deleted=is_deleted))
    yield cluster, ordering, consumer, None


@given(st.integers(0, 2**32))
def test_when_the_watch_has_caught_up_what_was_told_is_what_is(seed: int) -> None:
    for cluster, _, consumer, _ in history(seed, restores=False):
        last = cluster, consumer

    assert last[1].items == last[0].items()


@given(st.integers(0, 2**32))
def test_that_holds_after_history_went_back_too_once_a_list_was_taken(seed: int) -> None:
    for cluster, ordering, consumer, _ in history(seed, restores=True):
        last = cluster, ordering, consumer
    cluster, ordering, consumer = last
    while cluster.answers:
        consumer.take(ordering.answered(*cluster.answers.pop()))
    consumer.take(cluster.list_for(ordering))

    assert consumer.items == cluster.items()


@given(st.integers(0, 2**32))
def test_no_answer_tells_what_the_watch_has_passed(seed: int) -> None:
    positions = [0]
    for _, ordering, consumer, told in history(seed, restores=False):
        if isinstance(told, Changed):
            version = int(told.item.rpartition(" ")[2])
            assert version > positions[-1]
            assert consumer.items[told.key] == told.item
        positions.append(int(ordering.position))

    assert positions == sorted(positions)


@given(st.integers(0, 2**32))
def test_a_newer_state_is_never_overwritten_by_an_older_one(seed: int) -> None:
    seen: dict[ObjectKey, int] = {}
    for _, _, consumer, _ in history(seed, restores=False):
        for key, item in consumer.items.items():
            version = int(item.rpartition(" ")[2])
            assert version >= seen.get(key, 0)
            seen[key] = version


@given(st.integers(0, 2**32))
def test_what_is_remembered_is_bounded_by_what_the_watch_has_still_to_tell(seed: int) -> None:
    for cluster, ordering, _, _ in history(seed, restores=False):
        assert len(ordering._ahead) <= len({event[0].key for event in cluster.events})


def test_a_list_is_told_one_object_at_a_time_with_what_it_has_not() -> None:
    a, b, c = (ObjectKey("n", name) for name in "abc")

    told = list(changes(Replaced({a: 1, b: 2}, "5", 0), [b, c]))

    assert told == [Deleted(c, ""), Changed(a, 1), Changed(b, 2)]
    assert list(changes(Changed(a, 1), [])) == [Changed(a, 1)]
