"""What the kernel's conntrack says of a VIP's flows: the request for them, and its answer. Pure.

A flow is of interest when this node translates its destination, as kube-proxy has it, and both sides have spoken. By
hand, as 100,000 flows are to be read while a move waits: pyroute2's NFCTSocket takes half a minute for them. Source:
linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h, nf_conntrack_tcp.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from lbnodeagent.flows.nfnetlink import DONE, ERROR, HEAD, NESTED
from lbnodeagent.flows.tables import FLOW, STRAY, Flow, Stray
from lbnodeagent.kernel.attributes import attribute, attributes
from purelb.addresses import IPAddress

GET: Final = 1 << 8 | 1
"""NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET."""
DELETE: Final = 1 << 8 | 2
"""IPCTNL_MSG_CT_DELETE."""
_KIND: Final = 0x3FFF
_TUPLE_ORIG: Final = 1
_STATUS: Final = 3
_PROTOINFO: Final = 4
_TIMEOUT: Final = 7
_FILTER: Final = 25
_STATUS_MASK: Final = 26
_ORIG_FLAGS: Final = 1
_IP: Final = 1
_PROTO: Final = 2
_V4_SRC, _V4_DST, _V6_SRC, _V6_DST = 1, 2, 3, 4
_DESTINATION: Final = 1 << 1
"""CTA_FILTER_F_CTA_IP_DST: from Linux 5.8 on the kernel tells of that destination alone."""
_WANTED: Final = 1 << 1 | 1 << 5
"""IPS_SEEN_REPLY and IPS_DST_NAT."""
_DYING: Final = 1 << 9
_TCP, _SCTP = 6, 132
_TCP_ALIVE: Final = frozenset({2, 3, 4, 5, 6})
"""SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK."""
_SCTP_ALIVE: Final = frozenset({4, 5, 6, 7})
"""ESTABLISHED and the three that shut down."""
_PORTS: Final = frozenset({_TCP, 17, _SCTP, 136})
_ATTRIBUTE = struct.Struct("=HH")
_STATUS_HEAD: Final = _ATTRIBUTE.pack(8, _STATUS)
_PROTOINFO_KIND: Final = struct.pack("=H", _PROTOINFO | NESTED)
_FIRST: Final = {4: struct.Struct("!16x4s4x4s8xB7xH2x4xH"), 6: struct.Struct("!16x16s4x16s8xB7xH2x4xH")}
"""Behind a message's head. The first attribute is always the tuple, with all of it in this order; of what has no ports
the protocol tells.
"""


def request(vip: IPv4Address | None) -> bytes:
    """The body of a dump of what goes to ``vip`` alone, or of all that is translated and answered.

    Of IPv6 it is always all: kernels up to 6.18 at least leave out the destination that is asked for, and no other
    (ctnetlink_filter_match_tuple).
    """
    wanted = struct.pack("!I", _WANTED)
    status = attribute(_STATUS, wanted) + attribute(_STATUS_MASK, wanted)
    if vip is None:
        return status
    where = attribute(_IP | NESTED, attribute(_V4_DST, vip.packed))
    flags = attribute(_ORIG_FLAGS, struct.pack("=I", _DESTINATION))
    return status + attribute(_TUPLE_ORIG | NESTED, where) + attribute(_FILTER | NESTED, flags)


def live_flows(data: bytes, version: int, found: Mapping[bytes, list[Flow]]) -> int | None:
    """Note the flows of a part of a dump that are alive, by the VIPs that ``found`` has.

    The errno with which the dump ends here, 0: well; None: there is more. Older kernels tell of more than was asked.
    """
    first = _FIRST[version]
    layouts: dict[tuple[int, int], _Layout] = {}
    at, end = 0, len(data)
    while end - at >= HEAD.size + 4:
        length, kind, *_ = HEAD.unpack_from(data, at)
        if kind in (ERROR, DONE):
            return -int(struct.unpack_from("=i", data, at + HEAD.size)[0])
        if length < HEAD.size + first.size or end - at < length:
            return errno.EBADMSG
        client, vip, protocol, port, vip_port = first.unpack_from(data, at + HEAD.size)
        flows = found.get(vip)
        if flows is not None and protocol in _PORTS:
            layout = layouts.get((length, protocol))
            if layout is None or not layout.fits(data, at):
                layout = layouts[length, protocol] = _layout(data, at, at + length)
            if _is_alive(layout.status(data, at), layout.state(data, at), protocol):
                flows.append(Flow(FLOW.pack(protocol, port, vip_port) + client))
        at += (length + 3) & ~3
    return None


def one(stray: Stray) -> bytes:
    """The body of a request for that connection alone."""
    size = (len(stray) - STRAY.size) // 2
    client, vip = stray[STRAY.size : STRAY.size + size], stray[STRAY.size + size :]
    return _tuple(_TCP, client, vip, stray[: STRAY.size])


def one_of(vip: IPAddress, flow: Flow) -> bytes:
    """The body of a request for that flow to a VIP."""
    return _tuple(flow[0], flow[FLOW.size :], vip.packed, flow[1 : FLOW.size])


def _tuple(protocol: int, client: bytes, vip: bytes, ports: bytes) -> bytes:
    source, destination = (_V4_SRC, _V4_DST) if len(vip) == 4 else (_V6_SRC, _V6_DST)
    where = attribute(_IP | NESTED, attribute(source, client) + attribute(destination, vip))
    what = attribute(1, bytes([protocol])) + attribute(2, ports[:2]) + attribute(3, ports[2:])
    return attribute(_TUPLE_ORIG | NESTED, where + attribute(_PROTO | NESTED, what))


def left(data: bytes) -> int | None:
    """For how many seconds the connection in an answer will be remembered without a packet; None: it isn't alive."""
    its = attributes(data[HEAD.size + 4 :])
    status, timeout = its.get(_STATUS, b""), its.get(_TIMEOUT, b"")
    state = attributes(attributes(its.get(_PROTOINFO, b"")).get(1, b"")).get(1, b"")
    is_alive = bool(state) and _is_alive(int.from_bytes(status, "big"), state[0], _TCP)
    return int.from_bytes(timeout, "big") if is_alive else None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a message its status and its protocol's state are; most messages of a length are alike."""

    status_at: int
    state_at: int
    """0: it has none."""

    def fits(self, data: bytes, at: int) -> bool:
        """Whether that message is one of these."""
        if data[at + self.status_at - 4 : at + self.status_at] != _STATUS_HEAD:
            return False
        return not self.state_at or data[at + self.state_at - 10 : at + self.state_at - 8] == _PROTOINFO_KIND

    def status(self, data: bytes, at: int) -> int:
        """Bits of IPS_."""
        return int.from_bytes(data[at + self.status_at : at + self.status_at + 4], "big") if self.status_at else 0

    def state(self, data: bytes, at: int) -> int:
        """Of the protocol."""
        return data[at + self.state_at] if self.state_at else 0


def _layout(data: bytes, start: int, end: int) -> _Layout:
    status_at = state_at = 0
    at = start + HEAD.size + 4
    while end - at >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind == _STATUS and length == 8:
            status_at = at + 4 - start
        elif kind & _KIND == _PROTOINFO and end - at > 12:
            # In it what TCP or SCTP says, and in that the state first.
            state_at = at + 12 - start
        at += max((length + 3) & ~3, 4)
    return _Layout(status_at, state_at)


def _is_alive(status: int, state: int, protocol: int) -> bool:
    if status & _WANTED != _WANTED or status & _DYING:
        return False
    match protocol:
        case 6:
            return state in _TCP_ALIVE
        case 132:
            return state in _SCTP_ALIVE
        case _:
            return True
