"""Who waits for an address."""

from __future__ import annotations

from allocator.ipam.requests import Request
from allocator.ipam.waiting import WaitingRoom
from purelb.services import ServiceKey
from tests.allocator.builders import key, request


class Counter:
    """Serves a number of requests of each group, and counts how often it was asked."""

    def __init__(self, room: WaitingRoom, **stock: int) -> None:
        self.room = room
        self.stock = stock
        self.asked = 0

    def __call__(self, asking: Request) -> bool:
        self.asked += 1
        group = asking.group or "default"
        if not self.stock.get(group):
            return False
        self.stock[group] -= 1
        self.room.leave(asking.service)
        return True


def room_with(*requests: Request) -> WaitingRoom:
    room = WaitingRoom()
    for each in requests:
        room.enter(each, holds_addresses=False)
    return room


def served(room: WaitingRoom, **stock: int) -> list[ServiceKey]:
    return room.serve(Counter(room, **stock))


def test_the_oldest_of_all_lines_comes_first() -> None:
    room = room_with(request("c", rank=3), request("a", rank=1, group="g"), request("b", rank=2))

    assert served(room, default=2, g=1) == [key("a"), key("b"), key("c")]


def test_a_head_that_can_t_be_served_keeps_its_line_waiting_and_no_other() -> None:
    room = room_with(*(request(f"s{rank}", rank=rank) for rank in range(1000)), request("other", rank=9999, group="g"))
    counter = Counter(room, g=1)

    assert room.serve(counter) == [key("other")]
    assert counter.asked == 2
    assert len(room) == 1000


def test_who_left_is_not_served() -> None:
    room = room_with(request("a", rank=1), request("b", rank=2))
    room.leave(key("a"))

    assert served(room, default=2) == [key("b")]


def test_who_changes_its_mind_waits_in_the_other_line_only() -> None:
    room = room_with(request("a", rank=1), request("b", rank=2))
    room.enter(request("a", rank=1, group="g"), holds_addresses=False)

    assert served(room, default=5) == [key("b")]
    assert served(room, g=5) == [key("a")]


def test_who_comes_back_waits_once() -> None:
    room = room_with(request("a", rank=1))
    room.leave(key("a"))
    room.enter(request("a", rank=1), holds_addresses=False)
    room.enter(request("a", rank=1), holds_addresses=False)

    assert served(room, default=5) == [key("a")]
    assert len(room) == 0


def test_one_that_holds_addresses_stands_alone() -> None:
    room = room_with(request("a", rank=1))
    room.enter(request("b", rank=2), holds_addresses=True)
    counter = Counter(room)

    assert room.serve(counter) == []
    assert counter.asked == 2
