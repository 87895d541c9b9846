"""Takes addresses from an interface as systemd-networkd would: a process of its name, with its socket.

Run on a host as ``python -m tests.system.wiper INDEX ADDRESS PREFIX-LENGTH TIMES``; one removal each 0.3 s.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from lbnodeagent.kernel.requests import decode_answers, encode_delete
from lbnodeagent.tables import IfIndex

NEWNS = 0x00020000


def main() -> None:
    index, address, prefix_length, times = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).unshare(NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    for command in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "none", "/run"]):
        subprocess.run(command, check=True)
    place = Path("/run/systemd/netif")
    place.mkdir(parents=True)
    with (
        socket.socket(socket.AF_UNIX) as varlink,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink,
    ):
        varlink.bind(str(place / "io.systemd.Network"))
        netlink.bind((os.getpid(), 0))
        Path("/proc/self/comm").write_text("systemd-network")
        for number in range(int(times)):
            netlink.send(encode_delete(IfIndex(int(index)), ip_address(address), int(prefix_length), number))
            print(list(decode_answers(netlink.recv(65536))), flush=True)
            time.sleep(0.3)
        time.sleep(1)


if __name__ == "__main__":
    main()
