"""All objects of one kind as last seen; own writes show at once.

Owns what is known of a kind and who is told of changes; how a collection is followed is `purelb.follow`'s. Must not
know any kind's meaning.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

from lab.api.objects import Object
from purelb.follow import Follower, Source
from purelb.kube import Kube
from purelb.ordering import Changed, Deleted, News, ObjectKey, Replaced


class Cache:
    """A controller that reads what it wrote a moment ago must find it, or it writes it twice: see `apply`."""

    def __init__(self, kube: Kube, plural: str, path: str, changed: Callable[[Object], None]) -> None:
        """`changed` is told every object that is new, other or gone; made in the event loop that it works in."""
        self._changed = changed
        self._objects: dict[ObjectKey, Object] = {}
        self._follower: Follower[Object] = Follower(
            kube, Source(plural, path), lambda body: body, clock=asyncio.get_running_loop().time, rng=random.Random()
        )
        self.synced = asyncio.Event()

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get(ObjectKey(namespace, name))

    def apply(self, obj: Object) -> None:
        """Take over what the API server answered, unless the watch is further already."""
        change = self._follower.answered(obj, self._follower.epoch)
        if change is not None:
            self._take(change)

    async def run(self) -> None:
        """Follow for ever."""
        async for news in self._follower.news():
            self._take(news)

    def _take(self, news: News[Object]) -> None:
        match news:
            case Replaced(items):
                known, self._objects = self._objects, dict(items)
                gone = [old for key, old in known.items() if _uid(items.get(key)) != _uid(old)]
                for obj in [*gone, *items.values()]:
                    self._changed(obj)
                self.synced.set()
            case Changed(key, obj):
                self._objects[key] = obj
                self._changed(obj)
            case Deleted(key, uid):
                known_obj = self._objects.get(key)
                if known_obj is not None and _uid(known_obj) == uid:
                    del self._objects[key]
                    self._changed(known_obj)


def _uid(obj: Object | None) -> str:
    return str(obj["metadata"]["uid"]) if obj is not None else ""
