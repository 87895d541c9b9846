"""Which news of a collection counts, and what a consumer is told of it. Pure; follow.py is the driver.

News comes by three ways: a list of all there is, the watch that goes on from it, and the answers to our own requests,
which run ahead of the watch. It owns the order among them and must not know HTTP, time or what an object means.

Three rules are enough, and need no memory of what was deleted:

- A watch tells all changes of its collection in the order of their resourceVersions. So it stands at a *position*, and
  everything up to there was told. An answer at or behind the position is no news: what it says was told already, or
  has been overtaken since, be it by a deletion. Only an answer ahead of it counts (this is the tombstone: the DELETED
  that was heard moved the position past every state that the object ever had).
- What an answer told is kept until the watch has passed it, and older events about that object are passed over.
- A list is the truth, whatever its numbers: it says what was when it was asked for, or later. Only what answers told
  meanwhile, from ahead of it, stays. A list from *behind* the position says that history itself went back (etcd was
  restored from an older snapshot): answers to requests that were sent before don't count. A new *epoch* begins.

resourceVersions are compared as numbers, which Kubernetes allows from 1.35 on (KEP-5504) and which was always right
with etcd. Of a server with other ones, answers are never news, and all else is taken as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class ObjectKey(NamedTuple):
    """What identifies an object within its collection."""

    namespace: str
    """Empty for kinds of the whole cluster."""
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class State(NamedTuple, Generic[T]):
    """An object as somebody told it."""

    key: ObjectKey
    uid: str
    resource_version: str
    item: T | None
    """What the program reads of it; None: nothing of interest, as if it weren't there."""


@dataclass(frozen=True, slots=True)
class Replaced(Generic[T]):
    """This is all there is: whatever else was known is gone."""

    items: Mapping[ObjectKey, T]
    resource_version: str
    """At which the list was true."""
    epoch: int
    """Which history the versions belong to: in another epoch they can't be compared."""


@dataclass(frozen=True, slots=True)
class Changed(Generic[T]):
    """An object is so now, new or not."""

    key: ObjectKey
    item: T


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone, or of no interest any more; it may never have been told."""

    key: ObjectKey
    uid: str
    """Empty where a list tells it."""


Change: TypeAlias = Changed[T] | Deleted
News: TypeAlias = Replaced[T] | Changed[T] | Deleted


def changes(news: News[T], known: Iterable[tuple[str, str]]) -> Iterator[Change[T]]:
    """News one object at a time, to a consumer that knows the objects ``known`` (namespace and name of each).

    A list is the deletion of those of them that it hasn't, and then what each of the others is now.
    """
    if not isinstance(news, Replaced):
        yield news
        return
    for namespace, name in list(known):
        if (namespace, name) not in news.items:
            yield Deleted(ObjectKey(namespace, name), "")
    for key, item in news.items.items():
        yield Changed(key, item)


def revision(resource_version: str) -> int | None:
    """A resourceVersion as a number; None if it is none."""
    return int(resource_version) if resource_version.isascii() and resource_version.isdecimal() else None


def key_of(body: Mapping[str, Any]) -> ObjectKey:
    """The key of an object of the API."""
    metadata = body["metadata"]
    return ObjectKey(metadata.get("namespace") or "", metadata["name"])


class Ordering(Generic[T]):
    """What was told of one collection, as far as later news has to be compared with it."""

    def __init__(self) -> None:
        self._position = ""
        self._ahead: dict[ObjectKey, State[T]] = {}
        self._meanwhile: set[ObjectKey] = set()
        """Objects of which answers told since a list was asked for."""
        self.epoch = 0
        """Counts how often history went back; note it with a request whose answer is to be told."""

    @property
    def position(self) -> str:
        """The resourceVersion up to which everything was told, from which to watch; empty before the first list."""
        return self._position

    def listing(self) -> None:
        """A list is asked for, of what is now."""
        self._meanwhile.clear()

    def listed(self, items: Mapping[ObjectKey, T], resource_version: str) -> Replaced[T]:
        """A complete list, true at ``resource_version``, without what is of no interest."""
        if self.is_behind(resource_version):
            self.epoch += 1
            self._ahead.clear()
        self._ahead = {key: state for key, state in self._ahead.items() if key in self._meanwhile}
        self._move_to(resource_version)
        merged = dict(items)
        for key, state in self._ahead.items():
            if state.item is None:
                merged.pop(key, None)
            else:
                merged[key] = state.item
        return Replaced(merged, resource_version, self.epoch)

    def is_behind(self, resource_version: str) -> bool:
        """Whether a version that the server has now is older than what it told before: history went back."""
        theirs, ours = revision(resource_version), revision(self._position)
        return theirs is not None and ours is not None and theirs < ours

    def heard(self, state: State[T], *, is_deleted: bool) -> Change[T] | None:
        """An event of the watch; None if it's overtaken. The watch goes on from it."""
        self._position = state.resource_version
        known = self._ahead.get(state.key)
        if known is not None:
            if _is_older(state, known):
                return None
            self._forget(state.key)
            if state.resource_version == known.resource_version and not is_deleted:
                return None
        if is_deleted:
            return Deleted(state.key, state.uid)
        return _change(state)

    def passed(self, resource_version: str) -> None:
        """A bookmark: nothing more will be told of what came before."""
        self._move_to(resource_version)

    def answered(self, state: State[T], epoch: int) -> Change[T] | None:
        """What the answer to a request says, that was sent in ``epoch``; None if it's no news."""
        theirs, position = revision(state.resource_version), revision(self._position)
        if epoch != self.epoch or theirs is None or position is None or theirs <= position:
            return None
        known = self._ahead.get(state.key)
        if known is not None and not _is_older(known, state):
            return None
        self._ahead[state.key] = state
        self._meanwhile.add(state.key)
        return _change(state)

    def _move_to(self, resource_version: str) -> None:
        self._position = resource_version
        position = revision(resource_version)
        # What the watch passed without an event of that version isn't of this collection any more.
        passed = [
            key
            for key, state in self._ahead.items()
            if position is None or (revision(state.resource_version) or 0) <= position
        ]
        for key in passed:
            self._forget(key)

    def _forget(self, key: ObjectKey) -> None:
        del self._ahead[key]
        self._meanwhile.discard(key)


def _is_older(one: State[T], other: State[T]) -> bool:
    this, that = revision(one.resource_version), revision(other.resource_version)
    return this is not None and that is not None and this < that


def _change(state: State[T]) -> Change[T]:
    return Deleted(state.key, state.uid) if state.item is None else Changed(state.key, state.item)
