"""What agents tell each other through the gossip: a member's meta, and the messages of a hand-over. Pure.

Meta (at most 512 bytes, memberlist's MetaMaxSize): magic, flags, entries of six bytes each (life, keys, extensions, MAC
addresses); then per subnet its IP version, with the high bit set if it is idle, and prefix length in one byte each, and
the network's leading bytes. An idle subnet of one address is an address of the node's own. PureLB's own agents have an
empty meta. Bytes that can't be read raise MetaError; an unknown version counts as a member without meta.

An extension is an entry that begins with 0x03: as a MAC address it would be one of a group, which no NIC has, so that
agents from before read it as a MAC that nobody answers with. Its second byte says what it carries. 0x01: how the node
serves (a Failure's number, 0 for none; 0x40 for a kube-proxy that works; 0x80 for a node that is excluded besides), and
its agent's version in three bytes; agents from before see a node that doesn't serve as an excluded one. 0x02, which is
there only if it says anything: flags (0x01: the agent is behind the API; 0x02: it keeps flows of VIPs that it takes
over; 0x04: it leaves VIPs to a node whose agent comes back), the node's weight, within how many seconds the agent comes
back that ends now (0: it doesn't end, or doesn't come back), and a byte of 0. 0x03, likewise: which checks find
something wrong around the node, a bit for each in four bytes (purelb/checks.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal, TypeAlias

from lbnodeagent.errors import MetaError
from lbnodeagent.gate.failures import Failure, failure_of
from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.keyrotation import Mark
from lbnodeagent.tables import Mac, network_of
from purelb.addresses import IPAddress, IPNetwork
from purelb.checks import Check, bits_of, checks_of
from purelb.version import Version

MAXIMUM: Final = 512
_MAGIC: Final = b"PL\x01"
_READY: Final = 0x01
_LEAVING: Final = 0x02
_EXCLUDED: Final = 0x04
_LIFE: Final = 0x08
_MARKS: Final = 4
"""From this bit on, three bits: how many keys the member says that it opens."""
_MARKS_MOST: Final = 7
_SILENT: Final = 0x80
"""Not read by agents from before, which don't set it either: they count as announcing."""
_ENTRIES: Final = 18
"""A life, seven keys, three extensions, and MOST_MACS (kernel/interfaces.py)."""
_IDLE: Final = 0x80
_EXTENSION: Final = 0x03
_SERVICE: Final = 0x01
"""The kind of the extension that says how the node serves."""
_FURTHER: Final = 0x02
"""The kind of the extension that says what doesn't concern the election."""
_WRONG: Final = 0x03
"""The kind of the extension that says what is wrong around the node."""
_BEHIND: Final = 0x01
_KEEPS_FLOWS: Final = 0x02
_WAITS: Final = 0x04
_BESIDES: Final = 0x80
"""In it: the node is excluded, whether it serves or not."""
_PROXIED: Final = 0x40
_NUMBER: Final = 0x3F


@dataclass(frozen=True, slots=True)
class Meta:
    """How a node takes part in the election."""

    is_ready: bool = False
    """It knows which VIPs are wanted."""
    is_leaving: bool = False
    """It shuts down and hands its VIPs over."""
    is_excluded: bool = False
    """Its Node object says that it should carry no load balancer traffic, or is being drained: only if all are."""
    reach: frozenset[IPNetwork] = frozenset()
    """The subnets on which it can announce."""
    idle: frozenset[IPNetwork] = frozenset()
    """The subnets that it is on, but can't announce on now: its NIC has no cable."""
    macs: frozenset[Mac] = frozenset()
    """Of the interfaces on those subnets: who else may rightly answer for a VIP during a hand-over."""
    life: Life | None = None
    """Of the agent that says it (envelope.py); None: it's one from before there were lives."""
    keys: tuple[Mark, ...] = ()
    """Of the keys that it opens, the one that it seals with first; empty: it doesn't say (keyrotation.py)."""
    addresses: frozenset[IPAddress] = frozenset()
    """The node's own: nobody else is to have them."""
    announces: bool = True
    """An LBNodeAgent with a local block is for it: it can route VIPs, also where it reaches no subnet."""
    failing: Failure | None = None
    """Why its data path doesn't work; None: it does, or it's an agent from before that was known."""
    is_proxied: bool = False
    """It has a kube-proxy that works."""
    version: Version | None = None
    """Of its agent; None: it's one from before agents said so, and read placements."""
    is_behind: bool = False
    """Its agent hasn't heard for a while what becomes of Services: it may go by an older plan than others do."""
    weight: int = 1
    """How many VIPs it has beside the others, where the allocator plans that."""
    found_wrong: frozenset[Check] = frozenset()
    """Checks that find something wrong around the node."""
    keeps_flows: bool = False
    """Who had a VIP before may go on serving its flows: this node passes them on."""
    waits: bool = False
    """It leaves VIPs to a node whose agent comes back."""
    returns_within: int = 0
    """Seconds, at most 255, after which the agent is back that ends now; 0: it doesn't end, or doesn't come back."""

    @property
    def serves(self) -> bool:
        """Whether its data path works, as far as it says."""
        return self.failing is None


def encode_meta(meta: Meta) -> bytes:
    """At most 512 bytes; the subnets that don't fit are left out, the widest ones last."""
    is_excluded = meta.is_excluded or not meta.serves
    flags = _READY * meta.is_ready | _LEAVING * meta.is_leaving | _EXCLUDED * is_excluded
    # The life and the keys go where agents from before read MACs, which no NIC has.
    lives = [] if meta.life is None else [meta.life]
    keys = meta.keys[:_MARKS_MOST]
    flags |= _LIFE * len(lives) | len(keys) << _MARKS | _SILENT * (not meta.announces)
    entries = [*lives, *keys, *_service(meta), *_further(meta), *_wrong(meta), *sorted(meta.macs)][:_ENTRIES]
    data = _MAGIC + struct.pack("!BB", flags, len(entries)) + b"".join(entries)
    known = [(network, 0) for network in meta.reach] + [(network, _IDLE) for network in meta.idle]
    # To agents from before, an address is a subnet without a cable, on which nobody else routes it either.
    known += ((network_of(address, address.max_prefixlen), _IDLE) for address in meta.addresses)
    for network, idle in sorted(known, key=lambda one: (one[1], one[0].prefixlen, one[0].version, one[0])):
        kept = (network.prefixlen + 7) // 8
        head = struct.pack("!BB", network.version | idle, network.prefixlen)
        entry = head + network.network_address.packed[:kept]
        if len(data) + len(entry) > MAXIMUM:
            break
        data += entry
    return data


def decode_meta(data: bytes) -> Meta | None:
    """None for a member that gossips none of ours (PureLB's own). Raises MetaError."""
    if not data.startswith(_MAGIC):
        return None
    try:
        flags, count = struct.unpack_from("!BB", data, len(_MAGIC))
        start = len(_MAGIC) + 2
        end = start + 6 * count
        if end > len(data):
            raise MetaError("a meta that ends within its entries")
        entries = [data[at : at + 6] for at in range(start, end, 6)]
        lives, keys = int(bool(flags & _LIFE)), flags >> _MARKS & _MARKS_MOST
        if lives + keys > count:
            raise MetaError("a meta that says that it has a life or keys, and has none")
        life = Life(entries[0]) if lives else None
        others = entries[lives + keys :]
        service = next((entry for entry in others if entry[:2] == bytes((_EXTENSION, _SERVICE))), None)
        further = next((entry for entry in others if entry[:2] == bytes((_EXTENSION, _FURTHER))), None)
        wrong = next((entry for entry in others if entry[:2] == bytes((_EXTENSION, _WRONG))), None)
        networks = list(_networks(data[end:]))
    except (struct.error, ValueError) as error:
        raise MetaError(f"a meta that can't be read: {error}") from error
    return Meta(
        bool(flags & _READY),
        bool(flags & _LEAVING),
        bool(flags & _EXCLUDED if service is None else service[2] & _BESIDES),
        reach=frozenset(network for network, is_idle in networks if not is_idle),
        idle=frozenset(network for network, is_idle in networks if is_idle and not _is_host(network)),
        addresses=frozenset(network[0] for network, is_idle in networks if is_idle and _is_host(network)),
        macs=frozenset(Mac(entry) for entry in others if entry[0] != _EXTENSION),
        life=life,
        keys=tuple(map(Mark, entries[lives : lives + keys])),
        announces=not flags & _SILENT,
        failing=failure_of(service[2] & _NUMBER) if service is not None and service[2] & _NUMBER else None,
        is_proxied=service is not None and bool(service[2] & _PROXIED),
        version=Version(*service[3:]) if service is not None else None,
        is_behind=further is not None and bool(further[2] & _BEHIND),
        weight=further[3] if further is not None else 1,
        found_wrong=checks_of(int.from_bytes(wrong[2:])) if wrong is not None else frozenset(),
        keeps_flows=further is not None and bool(further[2] & _KEEPS_FLOWS),
        waits=further is not None and bool(further[2] & _WAITS),
        returns_within=further[4] if further is not None else 0,
    )


def _service(meta: Meta) -> list[bytes]:
    """The extension that says how the node serves, if that is known of it."""
    if meta.version is None and meta.serves and not meta.is_proxied:
        return []
    number = 0 if meta.failing is None else meta.failing.number
    said = number | _PROXIED * meta.is_proxied | _BESIDES * meta.is_excluded
    return [struct.pack("!BBB3B", _EXTENSION, _SERVICE, said, *(meta.version or Version()))]


def _further(meta: Meta) -> list[bytes]:
    """The extension that says what isn't as it is of most nodes."""
    flags = _BEHIND * meta.is_behind | _KEEPS_FLOWS * meta.keeps_flows | _WAITS * meta.waits
    if not flags and meta.weight == 1 and not meta.returns_within:
        return []
    return [struct.pack("!BBBBBB", _EXTENSION, _FURTHER, flags, meta.weight, meta.returns_within, 0)]


def _wrong(meta: Meta) -> list[bytes]:
    """The extension that says what is wrong, if anything is."""
    if not meta.found_wrong:
        return []
    return [struct.pack("!BBI", _EXTENSION, _WRONG, bits_of(meta.found_wrong))]


def _is_host(network: IPNetwork) -> bool:
    return network.prefixlen == network.max_prefixlen


def _networks(data: bytes) -> Iterator[tuple[IPNetwork, bool]]:
    while data:
        version, prefix_length = struct.unpack_from("!BB", data)
        size, kind = _sizes(version & ~_IDLE)
        kept = (prefix_length + 7) // 8
        if kept > size or len(data) < 2 + kept:
            raise MetaError("a meta with a subnet of an impossible length")
        packed = data[2 : 2 + kept].ljust(size, b"\0")
        yield kind((packed, prefix_length)), bool(version & _IDLE)
        data = data[2 + kept :]


def _sizes(version: int) -> tuple[int, type[IPv4Network] | type[IPv6Network]]:
    match version:
        case 4:
            return 4, IPv4Network
        case 6:
            return 16, IPv6Network
        case _:
            raise MetaError(f"IP version {version}")


# --- messages of a hand-over -----------------------------------------------------------------------------------------

Kind: TypeAlias = Literal["ask", "have", "own"]
_KINDS: Final[Mapping[bytes, Kind]] = {b"PL\x01a": "ask", b"PL\x01h": "have", b"PL\x01o": "own"}
_HEADS: Final = {kind: head for head, kind in _KINDS.items()}
_VIPS_PER_MESSAGE: Final = 48
"""48 IPv6 addresses and the longest node name stay below memberlist's packet of 1400 bytes, also in an envelope."""


@dataclass(frozen=True, slots=True)
class HandoverMessage:
    """``ask``: "I hold these VIPs of yours; say when you have them". ``have``: "these answer from here".

    ``own``: "I have these, and they are mine by all I know; your node answers for them, too".
    """

    kind: Kind
    sender: str
    """Kubernetes node name: a gossip message doesn't tell where it came from."""
    vips: tuple[IPAddress, ...]
    is_leaving: bool = False
    """The sender shuts down: it's no candidate any more, whatever its meta still says."""


def encode_messages(message: HandoverMessage) -> list[bytes]:
    """As many payloads as its VIPs need."""
    name = message.sender.encode()
    head = _HEADS[message.kind] + struct.pack("!BB", message.is_leaving, len(name)) + name
    return [
        head + b"".join(struct.pack("!B", vip.version) + vip.packed for vip in part)
        for part in _parts(message.vips, _VIPS_PER_MESSAGE)
    ]


def decode_message(payload: bytes) -> HandoverMessage | None:
    """None for a message that isn't ours. Raises MetaError."""
    kind = _KINDS.get(payload[:4])
    if kind is None:
        return None
    try:
        leaving, size = struct.unpack_from("!BB", payload, 4)
        if not size or len(payload) < 6 + size:
            raise MetaError("a hand-over message that ends within its sender's name")
        sender = payload[6 : 6 + size].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise MetaError(f"a hand-over message that can't be read: {error}") from error
    vips = tuple(_addresses(payload[6 + size :]))
    return HandoverMessage(kind, sender, vips, bool(leaving))


def _addresses(data: bytes) -> Iterator[IPAddress]:
    while data:
        size = _sizes(data[0])[0]
        packed, data = data[1 : 1 + size], data[1 + size :]
        if len(packed) != size:
            raise MetaError("a hand-over message that ends within an address")
        yield IPv4Address(packed) if size == 4 else IPv6Address(packed)


def _parts(vips: Sequence[IPAddress], size: int) -> Iterable[Sequence[IPAddress]]:
    return (vips[at : at + size] for at in range(0, len(vips), size))
