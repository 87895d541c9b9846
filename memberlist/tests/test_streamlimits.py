"""Who must go when there are too many streams, or too many bytes on them."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from memberlist.messages import Address
from memberlist.streamlimits import StreamLimits


def address(number: int) -> Address:
    return ipaddress.IPv4Address(f"10.0.0.{number}")


def test_who_holds_many_streams_open_keeps_nobody_out() -> None:
    limits = StreamLimits(streams_max=4)
    for stream in range(4):
        assert limits.admit(stream, address(66)) is None

    assert limits.admit(4, address(1)) == 0
    assert limits.admit(5, address(2)) == 1


def test_an_address_with_the_most_streams_pays_with_its_own_oldest() -> None:
    limits = StreamLimits(streams_max=3)
    limits.admit(0, address(1))
    limits.admit(1, address(66))
    limits.admit(2, address(66))

    assert limits.admit(3, address(66)) == 1


def test_where_all_have_one_the_oldest_goes() -> None:
    limits = StreamLimits(streams_max=2)
    limits.admit(0, address(1))
    limits.admit(1, address(2))

    assert limits.admit(2, address(3)) == 0


def test_a_stream_that_holds_much_goes_before_one_that_needs_little() -> None:
    limits = StreamLimits(bytes_max=1000)
    limits.admit(0, address(66))
    limits.admit(1, address(1))
    limits.received(0, 990)

    assert limits.received(1, 20) == 0
    assert limits.received(1, 900) is None
    assert limits.received(0, 1) == 0


def test_what_has_ended_counts_no_more() -> None:
    limits = StreamLimits(streams_max=1, bytes_max=10)
    for stream in range(100):
        assert limits.admit(stream, address(1)) is None
        assert limits.received(stream, 10) is None
        limits.end(stream)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=60))
def test_neither_limit_is_ever_exceeded(story: list[tuple[int, int]]) -> None:
    limits = StreamLimits(streams_max=5, bytes_max=100)
    held: dict[int, int] = {}

    for stream, (source, size) in enumerate(story):
        held[stream] = 0
        gone = limits.admit(stream, address(source))
        if gone is not None:
            del held[gone]
        for other in [stream, *held][:2]:
            if other in held:
                held[other] += size
                gone = limits.received(other, size)
                if gone is not None:
                    del held[gone]
        assert len(held) <= 5
        assert sum(held.values()) <= 100
