"""Who sends only junk is not listened to for a while."""

from __future__ import annotations

import ipaddress

from memberlist.bans import BAN, BANNED_MAX, SOURCES_MAX, UNREADABLE_MAX, WINDOW, Bans

JUNK = ipaddress.IPv4Address("10.0.0.66")


def addresses(count: int) -> list[ipaddress.IPv4Address]:
    return [ipaddress.IPv4Address(index) for index in range(1, count + 1)]


def test_a_source_is_reported_when_it_sent_too_much_junk_in_a_window() -> None:
    bans = Bans()

    said = [bans.blame(5.0, JUNK) for _ in range(UNREADABLE_MAX)]

    assert said == [False] * (UNREADABLE_MAX - 1) + [True]


def test_junk_now_and_then_is_never_too_much() -> None:
    bans = Bans()
    pace = WINDOW / (UNREADABLE_MAX - 2)

    assert not any(bans.blame(index * pace, JUNK) for index in range(10 * UNREADABLE_MAX))


def test_a_ban_ends_by_itself_or_by_a_pardon() -> None:
    bans = Bans()
    bans.ban(0.0, JUNK)

    assert not bans.expire(BAN - 0.1)
    assert JUNK in bans.banned
    assert bans.expire(BAN)
    assert not bans.banned

    bans.ban(20.0, JUNK)
    assert bans.pardon(JUNK)
    assert not bans.pardon(JUNK)
    assert not bans.banned


def test_what_is_remembered_is_bounded() -> None:
    bans = Bans()
    for address in addresses(SOURCES_MAX + 100):
        for _ in range(3):
            bans.blame(0.0, address)

    assert sum(bans.ban(0.0, address) for address in addresses(BANNED_MAX + 5)) == BANNED_MAX
    assert len(bans._unreadable) == SOURCES_MAX  # nothing public tells
