"""The asyncio driver, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

import memberlist.driver
from memberlist import (
    Config,
    ConfigError,
    Event,
    JoinSealed,
    Keyring,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    Memberlist,
    MemberUpdated,
    State,
    StreamFailed,
    UnknownMember,
    UserMessage,
)
from memberlist.codec import encode
from memberlist.messages import Address, Alive, Suspect
from memberlist.sockets import Sockets, bind
from parties import alive, at, party, run, until

HOSTS = ["127.0.0.1", "::1"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("key", [None, b"k" * 32])
@pytest.mark.parametrize("label", ["", "mesh"])
def test_members_find_each_other(host: str, key: bytes | None, label: str) -> None:
    async def story() -> None:
        async with party(host) as guests:
            ring = None if key is None else Keyring([key])
            one = await guests.member("one", keyring=ring, label=label, meta=b"first")
            two = await guests.member("two", keyring=ring, label=label)
            three = await guests.member("three", keyring=ring, label=label)

            assert await two.join([at(one)]) == 1
            assert await three.join([at(two)]) == 1
            await until(lambda: alive(one) == alive(two) == alive(three) == {"one", "two", "three"})

            assert three.members["one"].meta == b"first"
            assert three.members["one"].address == one.endpoint.address

    run(story())


def test_news_of_the_application_travel() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])

            one.update_meta(b"new")
            one.broadcast(b"to all")
            two.send_best_effort("one", b"by packet")
            await two.send("one", b"x" * 300_000)

            await until(lambda: {b"x" * 300_000, b"by packet"} <= {m.payload for m in guests.saw("one", UserMessage)})
            await until(lambda: guests.saw("two", UserMessage) != [])
            await until(lambda: two.members["one"].meta == b"new")
            assert guests.saw("two", UserMessage)[0].payload == b"to all"
            assert [event.member.name for event in guests.saw("two", MemberUpdated)] == ["one"]

    run(story())


def test_a_message_that_was_sent_is_there_before_the_next_one_whatever_their_sizes() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])

            for payload in (b"x" * 300_000, b"y"):
                await two.send("one", payload)
                assert guests.saw("one", UserMessage)[-1].payload == payload

    run(story())


def test_who_leaves_is_known_to_have_left() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)

            await two.leave(timeout=5)

            await until(lambda: guests.saw("one", MemberLeft) != [])
            assert one.members["two"].state is State.LEFT

    run(story())


def test_the_key_is_changed_while_members_run() -> None:
    async def story() -> None:
        async with party() as guests:
            old, new = b"o" * 16, b"n" * 32
            rings = {name: Keyring([old]) for name in ("one", "two", "three")}
            members = [await guests.member(name, keyring=ring) for name, ring in rings.items()]
            for member in members[1:]:
                assert await member.join([at(members[0])]) == 1
            await until(lambda: all(len(alive(member)) == 3 for member in members))

            steps: list[Callable[[Keyring], None]] = [
                lambda ring: ring.add(new),
                lambda ring: ring.use(new),
                lambda ring: ring.remove(old),
            ]
            for step in steps:
                for ring in rings.values():
                    step(ring)  # one after the other, so that members differ for a while
                    await asyncio.sleep(0.2)

            assert all(len(alive(member)) == 3 for member in members)
            assert not any(guests.saw(name, MemberFailed) for name in rings)
            assert sum(member.counters["not authentic"] for member in members) == 0
            stranger = await guests.member("stranger", keyring=Keyring([old]))
            assert await stranger.join([at(members[0])]) == 0
            late = await guests.member("late", keyring=Keyring([new]))
            assert await late.join([at(members[0])]) == 1

    run(story())


def test_a_member_that_dies_fails_and_its_return_is_a_join() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)
            where = at(two)

            guests.running["two"].cancel()
            await until(lambda: one.members["two"].state is State.DEAD)
            again = Memberlist("two", bind=where, config=Config.fast(), on_event=lambda event: None)
            guests.running["again"] = asyncio.create_task(again.run())
            await again.started()
            assert await again.join([at(one)]) == 1

            await until(lambda: alive(one) == {"one", "two"} == alive(again))
            assert [event.member.name for event in guests.saw("one", MemberJoined)] == ["one", "two", "two"]

    run(story())


def test_joining_counts_the_peers_that_answered_and_never_raises() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            stranger = await guests.member("stranger", keyring=Keyring([b"k" * 16]))
            foreign = await guests.member("foreign", config=Config.fast(delegate_versions=(2, 5, 5)))

            peers = [at(one), ("127.0.0.1", 1), ("no.such.name.invalid", 7946), at(stranger), at(foreign)]

            assert await two.join(peers) == 1
            assert await two.join([]) == 0
            assert [(str(one.address), one.port) for one in guests.saw("two", JoinSealed)] == [at(stranger)]

    run(story())


def test_a_peer_that_accepts_and_says_nothing_is_given_up() -> None:
    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one", config=dataclasses.replace(Config.fast(), tcp_timeout=0.3))
            with socket.create_server(("127.0.0.1", 0)) as silent:
                assert await one.join([("127.0.0.1", silent.getsockname()[1])]) == 0

    run(story())


def test_a_taken_port_is_an_os_error() -> None:
    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one")
            second = Memberlist("two", bind=at(one), config=Config.fast(), on_event=lambda event: None)

            with pytest.raises(OSError, match="in use"):
                await second.run()

    run(story())


def test_messages_that_can_not_be_delivered_raise() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)

            with pytest.raises(UnknownMember):
                await one.send("nobody", b"hello")
            guests.running["two"].cancel()
            await asyncio.sleep(0.01)
            with pytest.raises(StreamFailed):
                await one.send("two", b"hello")

    run(story())


def test_what_on_event_raises_ends_the_member() -> None:
    class Mistake(Exception):
        pass

    def fail(event: Event) -> None:
        raise Mistake

    async def story() -> None:
        member = Memberlist("one", bind=("127.0.0.1", 0), config=Config.fast(), on_event=fail)

        with pytest.raises(ExceptionGroup) as caught:
            await member.run()

        assert caught.group_contains(Mistake)

    run(story())


def test_what_on_event_raises_later_ends_the_member_too() -> None:
    class Mistake(Exception):
        pass

    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one")

            def fail(event: Event) -> None:
                if isinstance(event, MemberJoined) and event.member.name == "one":
                    raise Mistake

            two = Memberlist("two", bind=("127.0.0.1", 0), config=Config.fast(), on_event=fail)
            running = asyncio.create_task(two.run())
            await two.started()
            await one.join([at(two)])

            with pytest.raises(ExceptionGroup) as caught:
                await running
            assert caught.group_contains(Mistake)

    run(story())


@pytest.mark.parametrize(("bind", "meta", "label"), [(("nowhere", 1), b"", ""), (("127.0.0.1", 70_000), b"", "")])
def test_what_can_not_work_is_refused_at_once(bind: tuple[str, int], meta: bytes, label: str) -> None:
    with pytest.raises(ConfigError):
        Memberlist("one", bind=bind, config=Config(), on_event=lambda event: None, meta=meta, label=label)


def test_before_it_runs_a_member_knows_nobody_and_can_be_given_metadata() -> None:
    async def story() -> None:
        member = Memberlist("one", bind=("127.0.0.1", 0), config=Config(), on_event=lambda event: None)
        assert dict(member.members) == {}
        with pytest.raises(ConfigError):
            member.broadcast(b"too early")

        member.update_meta(b"early")
        running = asyncio.create_task(member.run())
        await member.started()

        assert member.members["one"].meta == b"early"
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    run(story())


def test_bound_to_all_addresses_one_that_others_can_reach_is_advertised() -> None:
    async def story() -> None:
        member = Memberlist("one", bind=("0.0.0.0", 0), config=Config(), on_event=lambda event: None)
        running = asyncio.create_task(member.run())
        await member.started()

        assert not member.endpoint.address.is_unspecified
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    run(story())


def test_no_task_and_no_socket_is_left_behind() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            where = at(one)

        assert asyncio.all_tasks() == {asyncio.current_task()}
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(where)

    run(story())


def test_who_dials_while_the_member_ends_is_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one")

            with socket.create_connection(at(one)):
                guests.running["one"].cancel()  # its loop finds both at once: the stranger and the end
                await asyncio.wait([guests.running["one"]])

    run(story())

    assert caplog.records == []


class Unreachable(socket.socket):
    """A kernel that refuses packets to 127.0.0.99."""

    def sendto(self, data: Any, *rest: Any) -> int:
        if rest[-1][0] == "127.0.0.99":
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return super().sendto(data, *rest)


def test_a_packet_that_the_kernel_refuses_is_acted_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind_unreachable(address: Address, port: int) -> Sockets:
        sockets = bind(address, port)
        udp = Unreachable(fileno=sockets.udp.detach())
        udp.setblocking(False)
        return dataclasses.replace(sockets, udp=udp)

    monkeypatch.setattr(memberlist.driver, "bind", bind_unreachable)
    never = 1000.0  # seconds: nothing else happens in this test that could carry the next step along
    slow = Config(
        probe_interval=never, probe_timeout=never / 2, gossip_interval=never, push_pull_interval=never, confirmers=8
    )

    async def story() -> None:
        async with party() as guests:
            one = await guests.member("one", config=slow)
            with (
                socket.create_server(("127.0.0.99", 0)) as gone,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rumour,
            ):
                gone.setblocking(False)
                port = gone.getsockname()[1]
                claim = Alive(1, "gone", bytes([127, 0, 0, 99]), port, b"", bytes([1, 5, 2, 0, 0, 0]))
                rumour.sendto(encode(claim), at(one))
                rumour.sendto(encode(Suspect(1, "gone", "somebody")), at(one))

                dialled, _ = await asyncio.get_running_loop().sock_accept(gone)
                dialled.close()

    run(story())


def test_after_its_end_a_member_harms_nobody_and_may_run_again() -> None:
    async def story() -> None:
        async with party() as guests:
            one, two = await guests.member("one"), await guests.member("two")
            await two.join([at(one)])
            await until(lambda: len(alive(one)) == 2)
            with socket.create_server(("127.0.0.1", 0)) as silent:
                joining = asyncio.create_task(one.join([("127.0.0.1", silent.getsockname()[1])]))
                await asyncio.sleep(0.05)
                guests.running["one"].cancel()

                assert await joining == 0
            one.broadcast(b"too late")
            one.update_meta(b"too late")
            one.send_best_effort("two", b"too late")
            with pytest.raises(StreamFailed):
                await one.send("two", b"too late")
            assert set(one.members) == {"one", "two"}

            guests.running["one"] = asyncio.create_task(one.run())
            await one.started()
            assert await one.join([at(two)]) == 1

    run(story())
