"""From a planned change of an address to the kernel's request, and from its answer to what is there then. Pure."""

from __future__ import annotations

import errno
from typing import Final, Literal, TypeAlias

from lbnodeagent.errors import AddressTaken, KernelError
from lbnodeagent.kernel.addressmessages import INFINITE
from lbnodeagent.kernel.holdings import label
from lbnodeagent.kernel.messages import F_NODAD, F_NOPREFIXROUTE, MARK
from lbnodeagent.kernel.requests import NewAddress, encode_delete, encode_new
from lbnodeagent.tables import FOREVER, Place, PresentAddress, Remove, network_of

Telling: TypeAlias = Literal["marked", "noted", "unnoted"]
"""How the next agent will know our addresses: by the kernel's mark, by the ledger, or not (IPv4: by its label)."""

UNNOTED: Final = 600
"""Seconds for which an address lives at most while nothing will tell that it is ours; renewed."""
EXPIRY_SLACK: Final = 2
"""Seconds by which the kernel is late with IPv4 (it looks at whole seconds, rounded up): 20.9 to 21.7 s for 20 seen."""
NOT_FOUND: Final = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENOENT, errno.ENXIO})


def encode(change: Place | Remove, how: Telling, number: int) -> bytes:
    """The request, with its sequence number."""
    if isinstance(change, Remove):
        return encode_delete(change.index, change.vip, change.prefix_length, number)
    return encode_new(new_address(change, how), number)


def new_address(place: Place, how: Telling) -> NewAddress:
    """Without duplicate address detection it answers at once; IPv6 would else be silent for a second or two."""
    vip, spot = place.vip, place.spot
    lifetime = _lifetime(place, how)
    valid = lifetime - EXPIRY_SLACK if lifetime else INFINITE
    preferred = spot.preferred_lifetime(vip) or valid
    if preferred < 0 or (spot.is_local and how != "marked"):
        preferred = 0
    flags = F_NOPREFIXROUTE if spot.addressing.no_prefix_route else 0
    if vip.version == 6 and not place.detects_duplicates:
        flags |= F_NODAD
    has_broadcast = vip.version == 4 and spot.prefix_length < 31
    return NewAddress(
        index=spot.index,
        address=vip,
        prefix_length=spot.prefix_length,
        flags=flags,
        valid=valid,
        preferred=min(preferred, valid),
        proto=MARK if how == "marked" else None,
        broadcast=network_of(vip, spot.prefix_length).broadcast_address if has_broadcast else None,
        # Not replacing fails if the address is there: a first placement never takes over somebody else's.
        replaces=place.is_renewal,
        label=_label(place, how),
    )


def _label(place: Place, how: Telling) -> str | None:
    return label(place.spot.interface) if how != "marked" and place.vip.version == 4 else None


def _lifetime(place: Place, how: Telling) -> int:
    """Seconds; 0: for ever, but not where the next agent couldn't know it for ours."""
    lifetime = place.spot.addressing.valid_lifetime
    if how != "unnoted" or _label(place, how) is not None:
        return lifetime
    return min(lifetime or UNNOTED, UNNOTED)


def result_of(change: Place | Remove, how: Telling, code: int, now: float) -> PresentAddress | KernelError | None:
    """What is there now (None: nothing), or why it failed; ``code``: the errno, ``now``: monotonic seconds."""
    if isinstance(change, Remove):
        return KernelError(f"removing {change.vip}", code) if code and code not in NOT_FOUND else None
    vip, spot = change.vip, change.spot
    if code:
        kind = AddressTaken if code == errno.EEXIST else KernelError
        return kind(f"adding {vip} to {spot.interface}", code)
    lifetime = _lifetime(change, how)
    return PresentAddress(
        index=spot.index,
        address=vip,
        prefix_length=spot.prefix_length,
        is_ours=True,
        is_secondary=True,  # until the kernel's own notification says otherwise
        no_prefix_route=spot.addressing.no_prefix_route,
        expires=now + lifetime - EXPIRY_SLACK if lifetime else FOREVER,
        # The kernel makes the route of an IPv6 address a moment later, and says so, also where it detects nothing.
        dad="running" if vip.version == 6 and not change.is_renewal else "done",
    )
