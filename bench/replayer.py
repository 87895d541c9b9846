"""Records gossip packets that reach a host, or sends recorded ones again: an eavesdropper without the key.

Programs of their own, run inside a host's network: ``python -m bench.replayer record SECONDS`` prints a packet per line
(IP header and all, as hex) for so long from the first one on, ``python -m bench.replayer send FILE`` reads such lines
and sends each unchanged, sender's address included. No more than ``MOST`` packets.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

from purelb.names import GOSSIP_PORT

MOST: Final = 300
_ETH_P_IP: Final = 0x0800
_UDP: Final = 17


def is_gossip(packet: bytes) -> bool:
    """Whether an IPv4 packet (RFC 791) is a UDP one to the gossip's port; fragments aren't."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != _UDP or packet[6] & 0x3F or packet[7]:
        return False
    header = 4 * (packet[0] & 0x0F)
    return int.from_bytes(packet[header + 2 : header + 4], "big") == GOSSIP_PORT


def record(seconds: float) -> None:
    """Print what is heard, both ways (packet(7)), from the first packet on: a host without a cable hears none."""
    end: float | None = None
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as wire:
        heard = 0
        while heard < MOST and (end is None or time.monotonic() < end):
            if select.select([wire], [], [], None if end is None else max(0.0, end - time.monotonic()))[0]:
                packet = wire.recv(65535)
                if is_gossip(packet):
                    heard += 1
                    end = end or time.monotonic() + seconds
                    print(packet.hex(), flush=True)


def send(file: Path) -> None:
    """Send a file's packets to where they went (raw(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as wire:
        for line in file.read_text().splitlines()[:MOST]:
            packet = bytes.fromhex(line)
            wire.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", seconds]:
            record(float(seconds))
        case ["send", file]:
            send(Path(file))
        case _:
            sys.exit(__doc__)
