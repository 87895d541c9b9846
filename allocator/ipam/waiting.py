"""Who waits for an address, the oldest first. Pure.

Requests that differ only in their Service stand and fall together, so they wait in one line, of which only the head
need be tried: thousands that wait for one pool cost one look.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable

from allocator.ipam.requests import Request, Seniority
from purelb.services import ServiceKey


def _line(request: Request, *, holds_addresses: bool) -> Hashable:
    """What decides the fate of a request beside its turn."""
    return (
        request.service.namespace,
        request.group,
        request.pinned,
        request.families,
        request.takes_one_family,
        request.multi_pool,
        request.moves,
        request.terms if request.terms.key else None,
        request.service if holds_addresses else None,
    )


class WaitingRoom:
    """Requests in lines, each line ordered by seniority."""

    def __init__(self) -> None:
        self._requests: dict[ServiceKey, tuple[Request, Hashable]] = {}
        self._lines: dict[Hashable, list[tuple[Seniority, ServiceKey]]] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def enter(self, request: Request, *, holds_addresses: bool) -> None:
        """Wait, in place of an earlier request of the same Service."""
        line = _line(request, holds_addresses=holds_addresses)
        known = self._requests.get(request.service)
        self._requests[request.service] = request, line
        if known is None or known[1] != line:
            heapq.heappush(self._lines.setdefault(line, []), (request.seniority, request.service))

    def leave(self, service: ServiceKey) -> None:
        """Wait no more."""
        self._requests.pop(service, None)

    def serve(self, is_served: Callable[[Request], bool]) -> list[ServiceKey]:
        """Offer each its turn, the oldest of all first, and the next of a line only if its head was served.

        ``is_served`` takes whom it serves out of the room. Returns whom it served.
        """
        served: list[ServiceKey] = []
        heads = [(head, number, line) for number, line in enumerate(list(self._lines)) if (head := self._head(line))]
        heapq.heapify(heads)
        while heads:
            (_, service), number, line = heapq.heappop(heads)
            if not is_served(self._requests[service][0]):
                continue
            served.append(service)
            head = self._head(line)
            if head is not None:
                heapq.heappush(heads, (head, number, line))
        return served

    def _head(self, line: Hashable) -> tuple[Seniority, ServiceKey] | None:
        """The oldest of a line; those that left it, or came again, are dropped on the way. An empty line is no more."""
        queue = self._lines[line]
        while queue:
            seniority, service = queue[0]
            known = self._requests.get(service)
            if known is not None and known[1] == line and known[0].seniority == seniority:
                return queue[0]
            heapq.heappop(queue)
        del self._lines[line]
        return None
