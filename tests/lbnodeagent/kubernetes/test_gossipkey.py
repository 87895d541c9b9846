"""Following the Secret with the gossip's keys."""

from __future__ import annotations

import base64
from typing import Any

from lbnodeagent.kubernetes.gossipkey import GossipKeys, GossipSecret, parse_secret
from lbnodeagent.messages import KeysKnown
from purelb.ordering import Changed, Deleted, News, ObjectKey

OLD, NEW = b"0" * 32, b"1" * 16


def secret(**entries: bytes) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value).decode() for name, value in entries.items()}}


def test_what_is_wrong_with_the_secret_is_told_until_it_is_right_or_gone() -> None:
    complaints, told = list[str](), list[KeysKnown]()
    keys = GossipKeys()
    key = ObjectKey("purelb", "purelb-gossip")

    def heard(news: News[GossipSecret]) -> None:
        then = keys.heard(news)
        complaints.append(then.complaint)
        told.extend(then.told)

    def has(**entries: bytes) -> None:
        metadata = {"namespace": "purelb", "name": "purelb-gossip", "uid": "u1"}
        heard(Changed(key, parse_secret({"metadata": metadata, **secret(**entries)})))

    has(key=NEW)
    has(key=NEW, old=b"short")
    has(before=OLD)
    heard(Deleted(key, "u1"))

    assert complaints == [
        "",
        "old of the Secret purelb-gossip has 5 bytes, but a gossip key has 16, 24 or 32",
        "the Secret purelb-gossip has no entry key",
        "",
    ]
    assert told == [KeysKnown((NEW,))]
    assert keys.trouble is None
