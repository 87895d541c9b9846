"""Which notifications of routes reach the agent: those of default routes. It knows nothing of what they say."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final

_SO_ATTACH_FILTER: Final = 26
_NEWROUTE: Final = 24
_DELROUTE: Final = 25


def attach_route_filter(watch: socket.socket) -> None:
    """Let no notification of a route through but those of default routes.

    Routing software may change thousands of routes a second; a classic BPF program drops them in the kernel:
    nlmsg_type (offset 4) is RTM_NEWROUTE or RTM_DELROUTE, and rtm_dst_len (offset 17) isn't 0.
    """
    ldh, ldb, jeq, ret = 0x28, 0x30, 0x15, 0x06
    program = [
        (ldh, 0, 0, 4),
        (jeq, 1, 0, socket.htons(_NEWROUTE)),
        (jeq, 0, 2, socket.htons(_DELROUTE)),
        (ldb, 0, 0, 17),
        (jeq, 0, 1, 0),
        (ret, 0, 0, 0xFFFFFFFF),
        (ret, 0, 0, 0),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    watch.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
