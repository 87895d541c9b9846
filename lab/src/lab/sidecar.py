"""A sample IPAM sidecar: hands out addresses of its own ranges over a Unix socket, and remembers them in a file.

    python -m lab.sidecar --socket /var/run/purelb/ipam.sock --state /var/lib/ipam/state.json \
        --pool lab=10.40.0.0/24 --pool lab=fd00:40::/112

It keeps the contract of docs/external-ipam.md: repeated calls change nothing, what was answered survives a crash, a
stale socket is removed. Whoever has an IPAM of their own replaces ``Ledger``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from purelb.addresses import AddressRange, Family, IPAddress, family_of, parse_address, parse_range
from purelb.errors import AddressError
from purelb.ipam_pb2 import (
    AllocatedIP,
    AllocateRequest,
    AllocateResponse,
    ReleaseRequest,
    ReleaseResponse,
    StatsRequest,
    StatsResponse,
)

Asked = TypeVar("Asked", bound=Message)


class RefusedError(Exception):
    """A call that ends with a gRPC status code."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Ledger:
    """Who has which address of which pool; written to a file before it is told."""

    def __init__(self, path: Path, pools: Mapping[str, Sequence[AddressRange]]) -> None:
        self._path = path
        self._pools = pools
        self._held: dict[str, dict[str, list[IPAddress]]] = {}
        self._keys: dict[str, dict[str, str]] = {}
        if path.exists():
            for pool, services in json.loads(path.read_text()).items():
                self._held[pool] = {
                    service: [parse_address(text) for text in entry["ips"]] for service, entry in services.items()
                }
                self._keys[pool] = {service: entry["key"] for service, entry in services.items()}

    def allocate(self, pool: str, service: str, key: str, wanted: Sequence[IPAddress | Family]) -> list[IPAddress]:
        """The addresses of a Service: those that it has, and what is missing. All or none."""
        if pool not in self._pools:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"there is no pool {pool}")
        held = list(self._held.get(pool, {}).get(service, ()))
        for want in wanted:
            if isinstance(want, Family):
                if not any(family_of(address) is want for address in held):
                    held.append(self._pick(pool, key, want))
            elif want not in held:
                held.append(self._pin(pool, key, want))
        self._held.setdefault(pool, {})[service] = held
        self._keys.setdefault(pool, {})[service] = key
        self._save()
        return held

    def release(self, pool: str, service: str, address: IPAddress | None) -> None:
        """Take back one address of a Service, or all; nothing is done where nothing is held."""
        held = self._held.get(pool, {}).get(service, [])
        left = [other for other in held if address is not None and other != address]
        if left == held:
            return
        if left:
            self._held[pool][service] = left
        else:
            del self._held[pool][service]
            del self._keys[pool][service]
        self._save()

    def stats(self, pool: str) -> StatsResponse:
        """How full a pool is."""
        ranges = self._pools.get(pool, ())
        in_use = self._in_use(pool)
        size = {family: sum(r.size for r in ranges if r.family is family) for family in Family}
        return StatsResponse(
            in_use_v4=sum(family_of(address) is Family.IPV4 for address in in_use),
            in_use_v6=sum(family_of(address) is Family.IPV6 for address in in_use),
            size_v4=min(size[Family.IPV4], 2**64 - 1),
            size_v6=min(size[Family.IPV6], 2**64 - 1),
            has_known_capacity=True,
            display_addresses=map(str, ranges),
        )

    def _in_use(self, pool: str) -> set[IPAddress]:
        return {address for held in self._held.get(pool, {}).values() for address in held}

    def _pick(self, pool: str, key: str, family: Family) -> IPAddress:
        for service, other in self._keys.get(pool, {}).items():
            for address in self._held[pool][service] if key and other == key else ():
                if family_of(address) is family:
                    return address
        in_use = self._in_use(pool)
        for addresses in self._pools[pool]:
            if addresses.family is family:
                for number in range(int(addresses.first), int(addresses.last) + 1):
                    address = type(addresses.first)(number)
                    if address not in in_use:
                        return address
        raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"no {family} address is free in pool {pool}")

    def _pin(self, pool: str, key: str, address: IPAddress) -> IPAddress:
        if not any(address in addresses for addresses in self._pools[pool]):
            raise RefusedError(grpc.StatusCode.OUT_OF_RANGE, f"{address} is not in pool {pool}")
        for service, held in self._held.get(pool, {}).items():
            if address in held and not (key and self._keys[pool][service] == key):
                raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, f"{address} is in use by {service}")
        return address

    def _save(self) -> None:
        state = {
            pool: {
                service: {"ips": [str(address) for address in held], "key": self._keys[pool][service]}
                for service, held in services.items()
            }
            for pool, services in self._held.items()
        }
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(state, indent=1))
        temporary.replace(self._path)


def handlers(ledger: Ledger) -> grpc.GenericRpcHandler:
    """The service ``purelb.ipam.v1.IPAM`` over a ledger."""

    def allocate(request: AllocateRequest) -> Message:
        wanted: list[IPAddress | Family]
        if request.WhichOneof("selector") == "explicit":
            wanted = [parse_address(text) for text in request.explicit.ips]
        else:
            asked = {Family.IPV4: request.families.want_ipv4, Family.IPV6: request.families.want_ipv6}
            wanted = [family for family, is_wanted in asked.items() if is_wanted]
        held = ledger.allocate(request.pool, request.service, request.sharing_key, wanted)
        return AllocateResponse(ips=[AllocatedIP(ip=str(address)) for address in held])

    def release(request: ReleaseRequest) -> Message:
        is_one = request.WhichOneof("target") == "ip"
        ledger.release(request.pool, request.service, parse_address(request.ip) if is_one else None)
        return ReleaseResponse()

    def stats(request: StatsRequest) -> Message:
        return ledger.stats(request.pool)

    return grpc.method_handlers_generic_handler(
        "purelb.ipam.v1.IPAM",
        {
            "Allocate": _method(allocate, AllocateRequest),
            "Release": _method(release, ReleaseRequest),
            "Stats": _method(stats, StatsRequest),
        },
    )


def _method(call: Callable[[Asked], Message], asked: type[Asked]) -> grpc.RpcMethodHandler[Asked, Message]:
    async def serve(request: Asked, context: grpc.aio.ServicerContext[Asked, Message]) -> Message:
        try:
            return call(request)
        except RefusedError as error:
            await context.abort(error.code, str(error))
        except AddressError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        raise AssertionError("abort raises")

    handler: Callable[..., Awaitable[Message]] = serve
    return grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=asked.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


@contextlib.asynccontextmanager
async def serving(socket: Path, *services: grpc.GenericRpcHandler) -> AsyncIterator[None]:
    """Serve on a Unix socket; one that a crash left behind is replaced."""
    await asyncio.to_thread(socket.unlink, missing_ok=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(services)
    server.add_insecure_port(f"unix://{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(1.0)


async def run(socket: Path, state: Path, pools: Mapping[str, Sequence[AddressRange]]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with serving(socket, handlers(Ledger(state, pools))):
        await stop.wait()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m lab.sidecar", description="A sample IPAM sidecar.")
    parser.add_argument("--socket", type=Path, default=Path("/var/run/purelb/ipam.sock"))
    parser.add_argument("--state", type=Path, required=True, help="file that remembers who has what")
    parser.add_argument("--pool", action="append", default=[], metavar="GROUP=RANGE", help="may be given repeatedly")
    arguments = parser.parse_args()
    pools: dict[str, list[AddressRange]] = {}
    for entry in arguments.pool:
        name, _, text = entry.partition("=")
        try:
            pools.setdefault(name, []).append(parse_range(text))
        except AddressError as error:
            parser.error(str(error))
    asyncio.run(run(arguments.socket, arguments.state, pools))


if __name__ == "__main__":
    main()
