"""One range of addresses: which are taken, and the first that is free. Pure.

What is barred is passed over. It knows neither Services nor groups nor sharing: whoever uses an address takes it once
and puts it back once.
"""

from __future__ import annotations

import heapq
from typing import Final

from purelb.addresses import IPAddress
from purelb.forbidden import Barred
from purelb.servicegroups import AddressPool

NOTHING_BARRED: Final = Barred()


class Pool:
    """The addresses of one range, handed out from its lower end.

    Memory grows with what is taken, never with the range, so a /64 costs as little as a /28. All operations are
    O(log n) in the taken addresses, amortised, whatever the fill: addresses below ``_frontier`` that are free wait in
    a heap, all above it that aren't in ``_taken`` are free. The frontier passes each address once.
    """

    def __init__(self, spec: AddressPool, barred: Barred = NOTHING_BARRED) -> None:
        self.spec = spec
        self._barred = barred
        self._barred_count = barred.count(spec.range)
        self._barred_taken = 0
        """Who has a barred address keeps it, and it counts as in use."""
        self.family = spec.family
        self._kind = type(spec.range.first)
        self._first = self._frontier = int(spec.range.first)
        self._last = int(spec.range.last)
        self._taken: set[int] = set()
        self._returned: list[int] = []
        self._queued: set[int] = set()

    @property
    def size(self) -> int:
        """Number of addresses that can be given or are taken; it can exceed 64 bits."""
        return self.spec.range.size - self._barred_count + self._barred_taken

    @property
    def in_use(self) -> int:
        """Number of addresses taken."""
        return len(self._taken)

    def is_taken(self, address: IPAddress) -> bool:
        """Whether ``address``, of this range, is in use."""
        return int(address) in self._taken

    def first_free(self) -> IPAddress | None:
        """The lowest free address that isn't barred, which stays free until it is taken; None if there is none."""
        while self._returned:
            lowest = self._returned[0]
            if lowest not in self._taken and not self._is_barred(lowest):
                return self._kind(lowest)
            heapq.heappop(self._returned)
            self._queued.discard(lowest)
        while self._frontier <= self._last:
            beyond = self._barred.first_from(self._kind(self._frontier))
            if beyond != self._frontier:
                self._frontier = beyond
            elif self._frontier not in self._taken:
                return self._kind(self._frontier)
            else:
                self._frontier += 1
        return None

    def take(self, address: IPAddress) -> None:
        """Mark a free address of this range as used. Raises ValueError if it can't be: the caller's mistake."""
        number = int(address)
        if number in self._taken or not self._contains(address, number):
            raise ValueError(f"{address} is not a free address of {self.spec.range}")
        self._taken.add(number)
        self._barred_taken += self._is_barred(number)

    def put_back(self, address: IPAddress) -> None:
        """Mark a taken address as free. Raises ValueError if it wasn't taken: the caller's mistake."""
        number = int(address)
        if number not in self._taken or not self._contains(address, number):
            raise ValueError(f"{address} is not a taken address of {self.spec.range}")
        self._taken.remove(number)
        self._barred_taken -= self._is_barred(number)
        if number < self._frontier and number not in self._queued:
            self._queued.add(number)
            heapq.heappush(self._returned, number)

    def _is_barred(self, number: int) -> bool:
        return self._barred.first_from(self._kind(number)) != number

    def _contains(self, address: IPAddress, number: int) -> bool:
        return type(address) is self._kind and self._first <= number <= self._last
