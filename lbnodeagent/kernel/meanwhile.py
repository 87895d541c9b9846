"""What we had the kernel do while everything was being read: it is newer than what was read. Pure.

Reading takes several round trips, and the data plane goes on meanwhile. Believing an older table, an agent would add
once more what it has just added, be refused, and tell the user of another host's address, which is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lbnodeagent.errors import KernelError
from lbnodeagent.tables import AddressKey, Place, PresentAddress, Remove


class Meanwhile:
    """From when a table is asked for until it has come."""

    def __init__(self) -> None:
        self._changes: dict[AddressKey, PresentAddress | None] = {}

    def note(self, changes: Sequence[Place | Remove], results: Sequence[PresentAddress | KernelError | None]) -> None:
        """The kernel has done this; what is there now (None: nothing), or why it failed."""
        for change, result in zip(changes, results, strict=True):
            match change, result:
                case Remove(), None:
                    self._changes[change.index, change.vip, change.prefix_length] = None
                case Place(), PresentAddress():
                    self._changes[change.spot.index, change.vip, change.spot.prefix_length] = result
                case _:
                    pass

    def over(self, read: Iterable[PresentAddress]) -> tuple[PresentAddress, ...]:
        """What was read, put right."""
        found: dict[AddressKey, PresentAddress | None] = {there.key: there for there in read}
        found |= self._changes
        return tuple(there for there in found.values() if there is not None)
