"""An IPAM sidecar as a source, over gRPC on a Unix socket: the only importer of ``grpc`` in the allocator.

The contract is purelb/ipam.proto, PureLB v0.17's. A sidecar is asked at least once, so it has to answer a repeated call
as it answered the first; it can't be asked what it keeps for whom, which is why claims.py writes that down.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from allocator.sources.source import Ask, Capacity, SourceError, Survey
from purelb.addresses import Family, IPAddress, family_of, parse_address
from purelb.errors import AddressError
from purelb.ipam_pb2 import (
    AllocateRequest,
    AllocateResponse,
    ExplicitIPs,
    FamilyRequest,
    ReleaseRequest,
    ReleaseResponse,
    StatsRequest,
    StatsResponse,
)
from purelb.metrics import AllocatorMetrics
from purelb.services import ServiceKey

Answer = TypeVar("Answer", bound=Message)

DEADLINE: Final = 10.0
"""Seconds for one call (PureLB v0.17)."""
MOST: Final = 16
"""Addresses in one answer (PureLB v0.17)."""
_SERVICE: Final = "/purelb.ipam.v1.IPAM/"
_OPTIONS: Final = (
    # A sidecar that is back is found at once; who may ask one that is out, and when, availability.py says.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
)
_OUTAGES: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED)


class Connection:
    """One socket, shared by the groups that name it; opened by the first call."""

    def __init__(self, socket: str, metrics: AllocatorMetrics, deadline: float = DEADLINE) -> None:
        self._socket = socket
        self._metrics = metrics
        self._deadline = deadline
        self._channel: grpc.aio.Channel | None = None

    async def call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """One call. Raises SourceError."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(f"unix://{self._socket}", options=_OPTIONS)
        call: grpc.aio.UnaryUnaryMultiCallable[Message, Answer] = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        begun = time.monotonic()
        code, trouble = grpc.StatusCode.OK, ""
        given: Answer | None = None
        try:
            given = await call(request, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            code, trouble = error.code(), error.details() or "no reason given"
        if given is None and code is grpc.StatusCode.OK:  # gRPC's way to say that an answer can't be decoded
            code, trouble = grpc.StatusCode.INTERNAL, "the answer is none of purelb.ipam.v1"
        name = _SERVICE + method  # the full name, as a Go client's interceptor has it
        self._metrics.sidecar_calls.labels(self._socket, name, _name(code)).inc()
        self._metrics.sidecar_call_seconds.labels(self._socket, name).observe(time.monotonic() - begun)
        if given is None:
            raise self._error(method, code, trouble)
        return given

    def _error(self, method: str, code: grpc.StatusCode, trouble: str) -> SourceError:
        sentence = f"sidecar {self._socket} answers {method}: {_name(code)}: {' '.join(trouble.split())[:200]}"
        if code in _OUTAGES:
            return SourceError(sentence)
        return SourceError(sentence, kind="exhausted" if code is grpc.StatusCode.RESOURCE_EXHAUSTED else "refused")

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


class SidecarSource:
    """One ServiceGroup's sidecar, to which the group's name is the pool."""

    counts_services = True

    def __init__(self, connection: Connection, pool: str) -> None:
        self._connection = connection
        self._pool = pool

    async def close(self) -> None:
        """The connection may be others' too."""

    async def allocate(self, ask: Ask) -> tuple[IPAddress, ...]:
        if ask.lost:
            await self.release(ask.service, ask.lost)
        if ask.pinned:
            return await self._allocate(ask, explicit=ExplicitIPs(ips=map(str, ask.pinned)))
        families = ask.families or (Family.IPV4,)
        try:
            given = await self._allocate(ask, families=_families(*families))
        except SourceError as error:
            if not (ask.takes_one_family and len(families) > 1 and error.kind == "exhausted"):
                raise
            return await self._allocate_one(ask, families)
        missing = set(families).difference(map(family_of, given))
        if missing and not ask.takes_one_family:
            # It answers a repeated call with what it gave at first, whatever is asked for.
            given += await self._allocate(ask, families=_families(*missing))
        return tuple(dict.fromkeys(given))

    async def _allocate_one(self, ask: Ask, families: tuple[Family, ...]) -> tuple[IPAddress, ...]:
        """An address of the first family that the sidecar has one of."""
        for family in families[:-1]:
            try:
                return await self._allocate(ask, families=_families(family))
            except SourceError as error:
                if error.kind != "exhausted":
                    raise
        return await self._allocate(ask, families=_families(families[-1]))

    async def _allocate(
        self, ask: Ask, explicit: ExplicitIPs | None = None, families: FamilyRequest | None = None
    ) -> tuple[IPAddress, ...]:
        request = AllocateRequest(
            pool=self._pool,
            service=str(ask.service),
            sharing_key=ask.sharing_key,
            explicit=explicit,
            families=families,
        )
        answer = await self._connection.call("Allocate", request, AllocateResponse)
        texts = list(dict.fromkeys(given.ip for given in answer.ips))
        if not 1 <= len(texts) <= MOST:
            raise SourceError(f"the sidecar answers with {len(texts)} addresses, not 1 to {MOST}", kind="refused")
        try:
            return tuple(dict.fromkeys(map(parse_address, texts)))
        except AddressError as error:
            raise SourceError(f"the sidecar answers with what is no address: {error}", kind="refused") from error

    async def release(self, service: ServiceKey, addresses: frozenset[IPAddress] | None) -> None:
        targets = [{"all": True}] if addresses is None else [{"ip": str(address)} for address in addresses]
        for target in targets:
            request = ReleaseRequest(pool=self._pool, service=str(service), **target)
            await self._connection.call("Release", request, ReleaseResponse)

    async def survey(self, shown: Mapping[ServiceKey, frozenset[IPAddress]]) -> Survey:
        stats = await self._connection.call("Stats", StatsRequest(pool=self._pool), StatsResponse)
        sizes = {Family.IPV4: stats.size_v4, Family.IPV6: stats.size_v6}
        capacity = Capacity(
            {Family.IPV4: stats.in_use_v4, Family.IPV6: stats.in_use_v6},
            sizes if stats.has_known_capacity else None,
            tuple(stats.display_addresses),
        )
        return Survey(capacity)


def _families(*families: Family) -> FamilyRequest:
    return FamilyRequest(want_ipv4=Family.IPV4 in families, want_ipv6=Family.IPV6 in families)


def _name(code: grpc.StatusCode) -> str:
    """A status code as gRPC's specification and PureLB's metrics write it: ``DeadlineExceeded``."""
    return "OK" if code is grpc.StatusCode.OK else "".join(word.capitalize() for word in code.name.split("_"))
