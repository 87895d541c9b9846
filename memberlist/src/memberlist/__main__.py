"""`python -m memberlist`: a member that prints what it sees, one JSON line per event.

For diagnosing a cluster, and for tests and benchmarks with processes.  Only wires; leaves cleanly on SIGTERM and
SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import json
import logging
import signal
import sys
import time

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
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    UserMessage,
)
from memberlist.messages import Address

JOIN_AGAIN_AFTER = 1.0
LEAVE_TIMEOUT = 2.0
PROFILES = {
    "lan": Config.lan,
    "wan": Config.wan,
    "local": Config.local,
    "fast": Config.fast,
    "steady": Config.steady,
}
NAMES = {
    MemberJoined: "join",
    MemberUpdated: "update",
    MemberSuspected: "suspect",
    MemberFailed: "failed",
    MemberLeft: "left",
}


def endpoint(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not IP:PORT")
    return host.strip("[]"), int(port)


def written(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def keyring(text: str) -> Keyring:
    try:
        return Keyring([base64.b64decode(text, validate=True)])
    except (binascii.Error, ConfigError) as error:
        raise argparse.ArgumentTypeError(f"not a key: {error}") from error


def versions(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not MIN,MAX,SPOKEN")
    low, high, spoken = map(int, parts)
    return low, high, spoken


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m memberlist", description=__doc__.partition("\n")[0])
    parser.add_argument("--name", required=True, help="unique in the cluster")
    parser.add_argument("--bind", required=True, type=endpoint, metavar="IP:PORT")
    parser.add_argument("--advertise", type=endpoint, metavar="IP:PORT", help="where others reach us, if not --bind")
    parser.add_argument("--join", action="append", default=[], type=endpoint, metavar="IP:PORT")
    parser.add_argument("--key", type=keyring, metavar="BASE64", help="16, 24 or 32 bytes")
    parser.add_argument("--label", default="")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="lan")
    parser.add_argument("--delegate", type=versions, default=(0, 0, 0), metavar="MIN,MAX,SPOKEN", help="serf: 2,5,5")
    parser.add_argument("--meta", default="", metavar="TEXT")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser.parse_args()


def show(event: Event) -> None:
    line: dict[str, object] = {"time": round(time.time(), 6)}
    match event:
        case UserMessage():
            line |= {"event": "user", "payload": event.payload.decode("utf-8", "backslashreplace")}
        case NameConflict():
            line |= {
                "event": "conflict",
                "node": event.existing.name,
                "addr": written(event.address, event.port),
            }
        case JoinSealed():
            line |= {"event": "sealed", "addr": written(event.address, event.port)}
        case _:
            member = event.member
            line |= {"event": NAMES[type(event)], "node": member.name, "addr": written(member.address, member.port)}
            if member.meta:
                line["meta"] = member.meta.decode("utf-8", "backslashreplace")
    print(json.dumps(line), flush=True)


async def serve(options: argparse.Namespace) -> None:
    member = Memberlist(
        options.name,
        bind=options.bind,
        advertise=options.advertise,
        config=PROFILES[options.profile](delegate_versions=options.delegate),
        keyring=options.key,
        label=options.label,
        meta=options.meta.encode(),
        on_event=show,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(member.run())
        await member.started()
        joining = tasks.create_task(join(member, options.join))
        await stop.wait()
        joining.cancel()
        await member.leave(LEAVE_TIMEOUT)
        running.cancel()


async def join(member: Memberlist, peers: list[tuple[str, int]]) -> None:
    """Until one of them answers, as all of a cluster may be starting at once."""
    while peers:
        if await member.join(peers):
            return
        await asyncio.sleep(JOIN_AGAIN_AFTER)


def main() -> None:
    options = arguments()
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.ERROR,
        stream=sys.stderr,
        format="%(levelname)s %(message)s",
    )
    complaint = None
    try:
        asyncio.run(serve(options))
    except* (OSError, ConfigError) as group:
        # No exit in here: before Python 3.11.4 it would end in the group's traceback.
        complaint = f"memberlist: {group.exceptions[0]}"
    if complaint is not None:
        sys.exit(complaint)


if __name__ == "__main__":
    main()
