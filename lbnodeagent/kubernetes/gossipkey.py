"""Where the gossip's keys come from: ML_GROUP, as PureLB v0.6 to v0.13 has it, else the Secret of the allocator.

How the Secret is read is purelb's (gossipkeys.py). Agents follow it while they run. What they do with a change is the
gossip's (keyrotation.py there); a Secret that is gone, or wrong, changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from lbnodeagent.messages import KeysKnown
from purelb import names
from purelb.events import ObjectReference, reference
from purelb.gossipkeys import keys_of
from purelb.ordering import Changed, Deleted, News, Replaced

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GossipSecret:
    """What an agent reads of the Secret."""

    keys: tuple[bytes, ...]
    """The one that seals first; none if it can't be used."""
    complaint: str
    """What is wrong with it; empty: nothing."""
    about: ObjectReference


@dataclass(frozen=True, slots=True)
class KeysNews:
    """What follows from news of the Secret."""

    told: tuple[KeysKnown, ...]
    """For the data plane."""
    complaint: str = ""
    """What is wrong with the entries of the Secret, each time it is looked at; empty: nothing."""
    about: ObjectReference | None = None


class GossipKeys:
    """The keys that the data plane is told, and changes of them.

    An agent without a key waits for the Secret, as it may start before the allocator: it could not talk to those that
    have one, and would announce what they announce.
    """

    def __init__(self) -> None:
        self._told: tuple[bytes, ...] = ()
        self._complaint = ""

    @property
    def trouble(self) -> str | None:
        """Why there is no key yet, in one sentence; None: there is one."""
        return None if self._told else self._complaint or "the gossip key has not been read yet"

    def fixed(self, key: bytes) -> KeysNews:
        """ML_GROUP says it: there is nothing to follow."""
        return KeysNews(self._use((key,)))

    def heard(self, news: News[GossipSecret]) -> KeysNews:
        """News of the one Secret."""
        match news:
            case Replaced(items):
                secret = next(iter(items.values()), None)
            case Changed(_, item):
                secret = item
            case Deleted():
                secret = None
            case _:
                assert_never(news)
        if secret is None:
            stays = "the keys stay in use" if self._told else "the allocator makes it"
            complaint = f"the Secret {names.GOSSIP_SECRET} isn't there; {stays}"
            if complaint != self._complaint:
                log.warning("gossip key", extra={"reason": complaint})
            self._complaint = complaint
            return KeysNews(())
        self._complaint = secret.complaint
        return KeysNews(self._use(secret.keys) if secret.keys else (), secret.complaint, secret.about)

    def _use(self, keys: tuple[bytes, ...]) -> tuple[KeysKnown, ...]:
        is_news = keys != self._told
        self._told = keys
        return (KeysKnown(keys),) if is_news else ()


def parse_secret(body: Mapping[str, Any]) -> GossipSecret:
    """The Secret as it is in the API."""
    return GossipSecret(*keys_of(body), reference(body, "Secret", "v1"))
