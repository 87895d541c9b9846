"""What a kernel with our rules does with single packets of a client: runs in a network of its own, prints JSON."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.rules import Rules
from lbnodeagent.flows.tables import FLOW, Await, Change, Flow, Keep, Server
from lbnodeagent.tables import IfIndex
from tests.system.flowrules import CLIENT, VIP, elements, flow, run

OWN, SERVER = IPv4Address("10.31.188.1"), Server("w11", IPv4Address("10.31.188.11"))
OLD, NEW, OTHER = 40001, 40002, 40003
"""Ports of the client."""
UDP, SCTP = 17, 132
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_IP: Final = 0x0800
SERVER_MAC: Final = bytes.fromhex("525400000011")
KUBE_PROXY = f"""
table inet proxy {{
  chain pre {{
    type nat hook prerouting priority -100;
    ip daddr {VIP} tcp dport 80 dnat ip to {OWN}:8080
    ip daddr {VIP} udp dport 80 dnat ip to {OWN}:8080
  }}
}}
"""
_IPV4, _TCP = struct.Struct("!BBHHHBBH4s4s"), struct.Struct("!HHIIBBHHH")


@dataclass(frozen=True, slots=True)
class Segment:
    """Of TCP, on the client's wire."""

    to: bytes
    """A MAC."""
    port: int
    """The client's."""
    flags: int
    sequence: int


class Client:
    """Sends single segments to the VIP, and sees what comes out of the node."""

    def __init__(self, nic: str, node: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IP))
        self._socket.bind((nic, _IP))
        self._socket.settimeout(10)
        self.mac = _mac(nic)
        self._head = _mac(node) + self.mac + b"\x08\x00"

    def send(self, port: int, flags: int, sequence: int, acknowledged: int = 0) -> None:
        ends = CLIENT.packed + VIP.packed
        segment = _TCP.pack(port, 80, sequence, acknowledged, 5 << 4, flags, 8192, 0, 0)
        checksum = _sum(ends + struct.pack("!HH", 6, len(segment)) + segment)
        segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
        header = _IPV4.pack(0x45, 0, 40, 0, 0, 64, 6, 0, CLIENT.packed, VIP.packed)
        header = header[:10] + struct.pack("!H", _sum(header)) + header[12:]
        self._socket.send(self._head + header + segment)

    def send_other(self, protocol: int, port: int) -> None:
        """A datagram of UDP, or a packet of SCTP in mid-association (RFC 9260 section 3: HEARTBEAT)."""
        if protocol == UDP:
            body = struct.pack("!HHHH", port, 80, 8, 0)
        else:
            chunk = struct.pack("!BBHHHI", 4, 0, 12, 1, 8, 0)
            body = struct.pack("!HHII", port, 80, 7, 0) + chunk
            body = body[:8] + struct.pack("<I", _crc32c(body)) + body[12:]
        header = _IPV4.pack(0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, CLIENT.packed, VIP.packed)
        header = header[:10] + struct.pack("!H", _sum(header)) + header[12:]
        self._socket.send(self._head + header + body)

    def others_until(self, port: int) -> list[tuple[int, str]]:
        """Protocol and destination of what isn't TCP before an answer to a new connection, likewise."""
        self.send(port, SYN, 5000)
        seen = []
        while (frame := self._frame())[23] != 6 or frame[36:38] != port.to_bytes(2, "big"):
            if frame[23] != 6:
                seen.append((frame[23], frame[:6].hex()))
        return seen

    def _frame(self) -> bytes:
        while True:
            frame, (_, _, kind, *_) = self._socket.recvfrom(2048)
            if kind != socket.PACKET_OUTGOING:
                return frame

    def sees(self) -> Segment:
        """The next one."""
        while True:
            frame = self._frame()
            if frame[23] == 6:
                ports = struct.unpack_from("!HHI", frame, 34)
                is_forwarded = frame[26:30] == CLIENT.packed
                return Segment(frame[:6], ports[0] if is_forwarded else ports[1], frame[47], ports[2])

    def flags_until(self, port: int) -> list[int]:
        """Those of what it sees before an answer to a new connection from that port, which it begins."""
        self.send(port, SYN, 5000)
        seen = []
        while (one := self.sees()).port != port:
            seen.append(one.flags)
        return seen


def _mac(nic: str) -> bytes:
    (link,) = json.loads(run("ip", "-json", "link", "show", "dev", nic))
    return bytes.fromhex(link["address"].replace(":", ""))


def _sum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _crc32c(data: bytes) -> int:
    """RFC 3385."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def main() -> None:
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
    for nic in ("lo", "eth0", "wire"):
        run("ip", "link", "set", nic, "up")
    run("ip", "addr", "add", f"{OWN}/16", "dev", "eth0")
    run("ip", "addr", "add", f"{VIP}/32", "dev", "eth0")
    client = Client("wire", "eth0")
    for host, mac in ((CLIENT, client.mac), (SERVER.address, SERVER_MAC)):
        run("ip", "neigh", "add", str(host), "lladdr", mac.hex(":"), "dev", "eth0")
    run("nft", "-f", "-", text=KUBE_PROXY)
    index = IfIndex(socket.if_nametoindex("eth0"))
    name = f"flows-{VIP.packed.hex()}-{SERVER.address.packed.hex()}"
    said: dict[str, object] = {}
    with Netfilter() as netfilter, socket.create_server((str(OWN), 8080)):
        rules = Rules(netfilter)
        try:
            rules.begin()
        except KernelError as error:
            print(json.dumps(str(error)))
            return
        # An old connection, whose end this node doesn't see.
        client.send(OLD, SYN, 1000)
        client.send(OLD, ACK, 1001, client.sees().sequence + 1)

        client.send(OLD, ACK, 1_000_000_000, 1)
        said["to the port of an old one, not awaited"] = client.flags_until(OTHER)
        rules.apply(Await((VIP,), True))
        client.send(OLD, ACK, 1_000_000_000, 1)
        client.send(50000, ACK, 1, 1)
        said["to it and to an unknown one, awaited"] = client.flags_until(NEW)

        rules.apply(Keep(VIP, (SERVER,), index))
        rules.apply(Change(VIP, SERVER, (flow(OLD, CLIENT), flow(NEW, CLIENT)), (), True))
        said["passed on, of an old one and one that began here"] = elements(name)
        client.send(OLD, ACK, 1_000_000_000, 1)
        said["where the old one goes"] = client.sees() == Segment(SERVER_MAC, OLD, ACK, 1_000_000_000)
        client.send(OLD, SYN, 4_000_000_000)
        client.sees()
        said["passed on, after the old one began anew"] = elements(name)
        client.send_other(SCTP, OLD)
        said["of an unknown association, awaited"] = client.others_until(50001)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((str(OWN), 8080))
            client.send_other(UDP, OLD)
            datagrams.sendto(b"", datagrams.recvfrom(100)[1])
        early = Flow(FLOW.pack(UDP, OLD, 80) + CLIENT.packed)
        said["datagrams before they are told of"] = early in netfilter.live_flows((VIP,))[VIP]
        others = tuple(Flow(FLOW.pack(protocol, OLD, 80) + CLIENT.packed) for protocol in (UDP, SCTP))
        rules.apply(Change(VIP, SERVER, others, (), False))
        said["and after that"] = early in netfilter.live_flows((VIP,))[VIP]
        client.others_until(50004)
        for protocol in (UDP, SCTP):
            client.send_other(protocol, OLD)
        ways = [(protocol, SERVER_MAC.hex()) for protocol in (UDP, SCTP)]
        said["where datagrams and associations go"] = client.others_until(50002) == ways
        rules.apply(Await((VIP,), False))
        client.send_other(SCTP, NEW)
        said["of an unknown association"] = [protocol for protocol, _ in client.others_until(50003)]
        rules.end()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
