"""The sidecar source over a real Unix socket: against the sample sidecar, and against ones that break the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from allocator.sources.sidecar import Connection, SidecarSource
from allocator.sources.source import Ask, SourceError
from lab.sidecar import serving
from purelb.addresses import Family
from purelb.ipam_pb2 import AllocatedIP, AllocateRequest, AllocateResponse, ReleaseResponse, StatsRequest, StatsResponse
from purelb.metrics import AllocatorMetrics, new_registry
from tests.allocator.builders import ip, key
from tests.allocator.sources.sidecars import Answer, playing, sample_here

V4, V6 = Family.IPV4, Family.IPV6
DEADLINE = 0.5


class Meeting:
    """A source and what it is counted by."""

    def __init__(self, socket: Path) -> None:
        self._registry = new_registry()
        self.connection = Connection(str(socket), AllocatorMetrics(self._registry), DEADLINE)
        self.source = SidecarSource(self.connection, "outside")
        self._socket = str(socket)

    async def given_to(self, name: str, *families: Family, **more: Any) -> list[str]:
        ask = Ask(key(name), families or (V4,), **more)
        return [str(address) for address in await self.source.allocate(ask)]

    def count(self, method: str, code: str) -> float | None:
        labels = {"socket": self._socket, "method": f"/purelb.ipam.v1.IPAM/{method}", "code": code}
        return self._registry.get_sample_value("purelb_allocator_sidecar_rpc_total", labels)


def with_sample(directory: Path, scenario: Callable[[Meeting], Coroutine[Any, Any, None]], *pools: str) -> None:
    async def run() -> None:
        async with sample_here(directory, *pools) as socket:
            meeting = Meeting(socket)
            try:
                await scenario(meeting)
            finally:
                await meeting.connection.close()

    asyncio.run(run())


def with_answers(directory: Path, answer: Answer, scenario: Callable[[Meeting], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        socket = directory / "ipam.sock"
        async with playing(socket, answer):
            meeting = Meeting(socket)
            try:
                await scenario(meeting)
            finally:
                await meeting.connection.close()

    asyncio.run(run())


def test_the_wire_has_the_field_numbers_of_purelb() -> None:
    request = AllocateRequest(pool="p", service="s", sharing_key="k")
    request.families.want_ipv4 = request.families.want_ipv6 = True
    assert request.SerializeToString() == b"\x0a\x01p\x12\x01s\x1a\x01k\x2a\x04\x08\x01\x10\x01"
    request.explicit.ips.append("x")
    assert request.SerializeToString() == b"\x0a\x01p\x12\x01s\x1a\x01k\x22\x03\x0a\x01x"
    assert AllocateResponse(ips=[AllocatedIP(ip="x")]).SerializeToString() == b"\x0a\x03\x0a\x01x"
    assert StatsRequest(pool="p").SerializeToString() == b"\x0a\x01p"
    stats = StatsResponse(
        in_use_v4=1, in_use_v6=2, size_v4=3, size_v6=4, has_known_capacity=True, display_addresses=["d"]
    )
    assert stats.SerializeToString() == b"\x08\x01\x10\x02\x18\x03\x20\x04\x28\x01\x32\x01d"


def test_it_allocates_releases_and_tells_how_full_it_is(tmp_path: Path) -> None:
    async def scenario(meeting: Meeting) -> None:
        assert await meeting.given_to("a", V4, V6) == ["10.40.0.0", "fd00:40::"]
        assert await meeting.given_to("a", V4, V6) == ["10.40.0.0", "fd00:40::"]
        assert await meeting.given_to("b") == ["10.40.0.1"]
        capacity = (await meeting.source.survey({})).capacity
        assert capacity.in_use == {V4: 2, V6: 1}
        assert capacity.size == {V4: 4, V6: 256}

        await meeting.source.release(key("a"), frozenset({ip("fd00:40::")}))
        await meeting.source.release(key("a"), None)
        await meeting.source.release(key("a"), None)
        assert (await meeting.source.survey({})).capacity.in_use == {V4: 1, V6: 0}
        assert await meeting.given_to("c") == ["10.40.0.0"]
        assert meeting.count("Release", "OK") == 3

    with_sample(tmp_path, scenario, "outside=10.40.0.0/30", "outside=fd00:40::/120")


def test_pinned_and_shared_addresses_are_the_sidecars_to_judge(tmp_path: Path) -> None:
    async def scenario(meeting: Meeting) -> None:
        assert await meeting.given_to("a", pinned=(ip("10.40.0.3"),), sharing_key="k") == ["10.40.0.3"]
        assert await meeting.given_to("b", sharing_key="k") == ["10.40.0.3"]
        with pytest.raises(SourceError, match=r"FailedPrecondition: 10\.40\.0\.3 is in use by default/a") as caught:
            await meeting.given_to("c", pinned=(ip("10.40.0.3"),))
        assert caught.value.kind == "refused"

    with_sample(tmp_path, scenario, "outside=10.40.0.0/30")


def test_an_exhausted_sidecar_is_exhausted_and_not_out(tmp_path: Path) -> None:
    async def scenario(meeting: Meeting) -> None:
        await meeting.given_to("a")
        with pytest.raises(SourceError, match="ResourceExhausted: no IPv4 address is free") as caught:
            await meeting.given_to("b")
        assert caught.value.kind == "exhausted"
        assert meeting.count("Allocate", "ResourceExhausted") == 1

    with_sample(tmp_path, scenario, "outside=10.40.0.0/32")


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        ([], "answers with 0 addresses, not 1 to 16"),
        ([f"10.0.0.{number}" for number in range(17)], "answers with 17 addresses, not 1 to 16"),
        (["10.0.0.256"], 'answers with what is no address: "10.0.0.256"'),
    ],
)
def test_an_answer_that_breaks_the_contract_is_refused(tmp_path: Path, addresses: list[str], sentence: str) -> None:
    async def answer(_method: str, _request: Any, _context: Any) -> Message:
        return AllocateResponse(ips=[AllocatedIP(ip=text) for text in addresses])

    async def scenario(meeting: Meeting) -> None:
        with pytest.raises(SourceError, match=sentence) as caught:
            await meeting.given_to("a")
        assert caught.value.kind == "refused"

    with_answers(tmp_path, answer, scenario)


def test_a_repeated_address_counts_once(tmp_path: Path) -> None:
    async def answer(_method: str, _request: Any, _context: Any) -> Message:
        return AllocateResponse(ips=[AllocatedIP(ip="10.0.0.1"), AllocatedIP(ip="10.0.0.1")])

    async def scenario(meeting: Meeting) -> None:
        assert await meeting.given_to("a") == ["10.0.0.1"]

    with_answers(tmp_path, answer, scenario)


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        (grpc.StatusCode.ALREADY_EXISTS, "AlreadyExists", "refused"),
        (grpc.StatusCode.INVALID_ARGUMENT, "InvalidArgument", "refused"),
        (grpc.StatusCode.ABORTED, "Aborted", "refused"),
        (grpc.StatusCode.UNAVAILABLE, "Unavailable", "outage"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ResourceExhausted", "exhausted"),
    ],
)
def test_a_status_code_is_told_and_counted(tmp_path: Path, code: grpc.StatusCode, name: str, kind: str) -> None:
    async def answer(_method: str, _request: Any, context: Any) -> Message:
        await context.abort(code, "because")
        return ReleaseResponse()

    async def scenario(meeting: Meeting) -> None:
        with pytest.raises(SourceError, match=f"Allocate: {name}: because") as caught:
            await meeting.given_to("a")
        assert caught.value.kind == kind
        assert meeting.count("Allocate", name) == 1

    with_answers(tmp_path, answer, scenario)


def test_a_sidecar_that_hangs_is_left_after_the_deadline(tmp_path: Path) -> None:
    async def answer(_method: str, _request: Any, _context: Any) -> Message:
        await asyncio.sleep(60)
        return ReleaseResponse()

    async def scenario(meeting: Meeting) -> None:
        with pytest.raises(SourceError, match="DeadlineExceeded") as caught:
            await meeting.given_to("a")
        assert caught.value.kind == "outage"

    with_answers(tmp_path, answer, scenario)


def test_who_prefers_dual_stack_gets_the_family_that_there_is(tmp_path: Path) -> None:
    async def scenario(meeting: Meeting) -> None:
        assert await meeting.given_to("a", V4, V6, takes_one_family=True) == ["fd00:40::"]
        with pytest.raises(SourceError, match="no IPv4 address is free"):
            await meeting.given_to("b", V4, V6)

    with_sample(tmp_path, scenario, "outside=fd00:40::/126")


def test_one_that_repeats_its_first_answer_is_asked_for_the_missing_family_alone(tmp_path: Path) -> None:
    given: list[str] = []

    async def answer(_method: str, request: Any, _context: Any) -> Message:
        if not given or not request.families.want_ipv4:
            given.append("10.0.0.1" if request.families.want_ipv4 else "fd00::1")
        return AllocateResponse(ips=[AllocatedIP(ip=text) for text in given])

    async def scenario(meeting: Meeting) -> None:
        assert await meeting.given_to("a") == ["10.0.0.1"]
        assert await meeting.given_to("a", V4, V6) == ["10.0.0.1", "fd00::1"]

    with_answers(tmp_path, answer, scenario)


def test_an_answer_that_is_no_message_is_told_too(tmp_path: Path) -> None:
    async def garbage(_request: bytes, _context: Any) -> bytes:
        return b"\xff\xff\xff"

    async def run() -> None:
        socket = tmp_path / "ipam.sock"
        handler: Any = grpc.unary_unary_rpc_method_handler(garbage)
        async with serving(socket, grpc.method_handlers_generic_handler("purelb.ipam.v1.IPAM", {"Allocate": handler})):
            meeting = Meeting(socket)
            with pytest.raises(SourceError, match="answers Allocate: ") as caught:
                await meeting.given_to("a")
            assert caught.value.kind == "refused"
            await meeting.connection.close()

    asyncio.run(run())
