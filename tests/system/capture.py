"""Prints the ARP and neighbour discovery frames that come to eth0, in hex, one a line."""

from __future__ import annotations

import os
import socket

ETH_P_ALL = 3


def main() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
        wire.bind(("eth0", ETH_P_ALL))
        while True:
            frame, address = wire.recvfrom(2048)
            is_arp = frame[12:14] == b"\x08\x06"
            is_discovery = frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] in (135, 136)
            if address[2] != socket.PACKET_OUTGOING and (is_arp or is_discovery):
                print(frame.hex(), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
