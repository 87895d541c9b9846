"""Keys of the gossip, from the Secret."""

from __future__ import annotations

import base64
from typing import Any

from purelb.gossipkeys import keys_of

OLD, NEW = b"0" * 32, b"1" * 16


def secret(**entries: bytes) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value).decode() for name, value in entries.items()}}


def test_the_entry_key_seals_and_all_others_open() -> None:
    assert keys_of(secret(before=OLD, key=NEW)) == ((NEW, OLD), "")


def test_without_the_entry_key_there_is_none() -> None:
    assert keys_of(secret(before=OLD)) == ((), "the Secret purelb-gossip has no entry key")


def test_a_key_of_an_impossible_length_is_named() -> None:
    text = "has 5 bytes, but a gossip key has 16, 24 or 32"
    assert keys_of(secret(key=b"short")) == ((), f"key of the Secret purelb-gossip {text}")
    assert keys_of(secret(key=NEW, old=b"short")) == ((NEW,), f"old of the Secret purelb-gossip {text}")
