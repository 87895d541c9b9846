"""How the gossip's keys are read from the Secret that holds them. Pure.

Its entry ``key`` is the one that seals; every other entry, whatever its name, only opens.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from purelb import names

KEY_SIZES: Final = (16, 24, 32)
"""Bytes of a gossip key: AES-128, -192 or -256."""


def keys_of(secret: Mapping[str, Any]) -> tuple[tuple[bytes, ...], str]:
    """The keys of the Secret, the one that seals first, and what is wrong with it; none without one that seals."""
    name, complaints, keys = names.GOSSIP_SECRET, [], list[bytes]()
    data = secret.get("data") or {}
    for entry in dict.fromkeys((names.GOSSIP_SECRET_KEY, *sorted(data))):
        if entry not in data:
            return (), f"the Secret {name} has no entry {entry}"
        try:
            key = base64.b64decode(data[entry])
        except ValueError:
            key = b""
        if len(key) in KEY_SIZES:
            if key not in keys:
                keys.append(key)
            continue
        complaints.append(f"{entry} of the Secret {name} has {len(key)} bytes, but a gossip key has 16, 24 or 32")
        if entry == names.GOSSIP_SECRET_KEY:
            return (), complaints[0]
    return tuple(keys), "; ".join(complaints)
