"""What else an address takes along when it goes: the secondaries of its subnet, unless the kernel is told not to. Pure.

An IPv4 address that stands before others of its subnet takes them away with it, the node's own among them, unless
promote_secondaries is set on the interface (ip-sysctl.rst of the kernel).
"""

from __future__ import annotations

from collections.abc import Iterable

from lbnodeagent.tables import Action, IfIndex, Remove


def to_promote_on(changes: Iterable[Action]) -> frozenset[IfIndex]:
    """Where secondaries must be kept before these changes are made.

    Wherever an IPv4 address goes: by what was heard it may be none that another one hangs on, and be one since a moment
    ago, of which the kernel's word is still to come.
    """
    return frozenset(change.index for change in changes if isinstance(change, Remove) and change.vip.version == 4)
