"""The store: versions, history, snapshots of the past, expiry."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedouble.journal import Journal
from kubedouble.store import Event, Store, TooOldError


def put(store: Store, name: str, **data: Any) -> int:
    return store.put("t", "ns", name, {"metadata": {"name": name}, "data": data}).rv


def names(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.after.key[1]) for event in events]


def test_versions_grow_over_all_tables() -> None:
    store = Store()

    first = put(store, "a")
    other = store.put("another", "", "x", {"metadata": {"name": "x"}}).rv

    assert other == first + 1 == store.rv


def test_a_cursor_gives_each_change_once_and_in_order() -> None:
    store, woken = Store(), []
    cursor = store.watch_from("t", store.rv, lambda: woken.append(1))

    put(store, "a")
    put(store, "a", x=1)
    store.delete("t", "ns", "a")

    assert names(list(cursor.drain())) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert list(cursor.drain()) == []
    assert len(woken) == 3
    cursor.close()
    put(store, "b")
    assert len(woken) == 3


def test_a_deletion_carries_the_last_state_at_the_deletions_version() -> None:
    store = Store()
    put(store, "a", x=1)

    last = store.delete("t", "ns", "a")

    assert last.obj["data"] == {"x": 1}
    assert last.obj["metadata"]["resourceVersion"] == str(store.rv)


def test_what_the_ring_forgot_is_too_old() -> None:
    store = Store(history=2)
    oldest = put(store, "a")
    slow = store.watch_from("t", oldest, lambda: None)
    for number in range(3):
        put(store, f"b{number}")

    with pytest.raises(TooOldError, match="too old resource version: "):
        store.watch_from("t", oldest, lambda: None)
    with pytest.raises(TooOldError):
        list(slow.drain())
    assert len(list(store.watch_from("t", store.rv - 2, lambda: None).drain())) == 2


def test_compaction_forgets_everything_but_the_present() -> None:
    store = Store()
    version = put(store, "a")
    put(store, "b")

    store.compact()

    with pytest.raises(TooOldError):
        store.list_at("t", version)
    assert [record.key[1] for record in store.list_at("t", store.rv)] == ["a", "b"]


_CHANGES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=30)


@given(_CHANGES)
def test_the_past_is_what_it_was(changes: list[tuple[str, bool, int]]) -> None:
    store = Store()
    snapshots: list[tuple[int, list[Any]]] = [(store.rv, [])]

    for name, removed, value in changes:
        if removed and store.get("t", "ns", name) is not None:
            store.delete("t", "ns", name)
        else:
            put(store, name, value=value)
        snapshots.append((store.rv, [record.obj for record in store.records("t")]))

    for version, objects in snapshots:
        assert [record.obj for record in store.list_at("t", version)] == objects


@given(_CHANGES, st.integers(0, 30))
def test_a_watch_from_any_version_leads_to_the_present(changes: list[tuple[str, bool, int]], start: int) -> None:
    store = Store()
    seen: dict[str, Any] = {}
    cursor = None
    for number, (name, removed, value) in enumerate(changes):
        if number == start:
            seen = {record.key[1]: record.obj for record in store.records("t")}
            cursor = store.watch_from("t", store.rv, lambda: None)
        if removed and store.get("t", "ns", name) is not None:
            store.delete("t", "ns", name)
        else:
            put(store, name, value=value)

    for event in cursor.drain() if cursor is not None else ():
        if event.type == "DELETED":
            del seen[event.after.key[1]]
        else:
            seen[event.after.key[1]] = event.after.obj

    if cursor is not None:
        assert seen == {record.key[1]: record.obj for record in store.records("t")}


def test_a_journal_brings_everything_back_but_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def write() -> Store:
        store, journal = Store(), Journal(path)
        journal.open(store)
        put(store, "a", x=1)
        put(store, "b")
        store.delete("t", "ns", "b")
        put(store, "a", x=2)
        journal.close()
        return store

    before = asyncio.run(write())
    path.write_bytes(path.read_bytes() + b'{"table":"t","type":"ADD')

    after = Store()
    assert Journal(path).replay(after) == 4

    assert after.rv == before.rv
    assert [record.obj for record in after.records("t")] == [record.obj for record in before.records("t")]


def test_a_journal_of_a_store_that_went_back_is_of_what_is_there(tmp_path: Path) -> None:
    async def write() -> None:
        store, journal = Store(), Journal(tmp_path / "journal")
        journal.open(store)
        put(store, "a", x=1)
        before = store.snapshot()
        put(store, "a", x=2)
        put(store, "b")

        store.go_back(before)
        journal.begin_again(store)
        put(store, "c")
        journal.close()

    asyncio.run(write())
    again = Store()
    Journal(tmp_path / "journal").replay(again)

    assert [(record.key[1], record.obj["data"]) for record in again.records("t")] == [("a", {"x": 1}), ("c", {})]


def test_followers_of_commits_hear_what_going_back_changed() -> None:
    store = Store()
    put(store, "a")
    put(store, "b")
    before = store.snapshot()
    put(store, "a", x=1)
    put(store, "c")
    store.delete("t", "ns", "b")
    heard: list[Event] = []
    store.on_commit.append(lambda _, event: heard.append(event))

    store.go_back(before)

    assert names(heard) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "c")]
    assert store.rv == before.rv
    with pytest.raises(TooOldError):
        store.watch_from("t", before.rv - 1, lambda: None)
