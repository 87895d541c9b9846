"""What BIRD says of its protocols on its control socket: bytes to values. Pure.

The form is that of BIRD 2's ``doc/reply_codes``: each line begins with a four-digit code and a dash, the last one of a
reply with the code and a blank; a line of the same code as the one before may begin with a blank instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

COMMAND: Final = b"show protocols all\n"
_ROUTING: Final = frozenset({"BGP", "OSPF", "RIP", "Babel"})
"""Protocols by which routes get out."""
_EXPORTED: Final = re.compile(r"Routes:.*?(\d+) exported")
_CODED: Final = re.compile(r"^(\d{4})[- ](.*)$")


@dataclass(frozen=True, slots=True)
class BirdStatus:
    """How BIRD is. The counts are of protocols that carry routes to other routers."""

    is_up: bool
    """It answers."""
    sessions: int = 0
    """Of which are up; for BGP: established."""
    protocols: int = 0
    exported: int = 0
    """Routes that it exports by them, all together."""
    error: str = ""
    """Why it doesn't answer."""

    @property
    def is_routing(self) -> bool:
        """Whether what is put on the dummy interface gets out."""
        return self.is_up and self.sessions > 0

    @property
    def trouble(self) -> str | None:
        """A clause that says why nothing routes; None: something does."""
        if not self.is_up:
            return f"BIRD does not answer: {self.error}"
        if not self.protocols:
            return "BIRD has no protocol that would tell a router (BGP, OSPF, RIP or Babel)"
        return None if self.sessions else f"BIRD has no session: none of its {self.protocols} is up"


def is_complete(reply: bytes) -> bool:
    """Whether a reply has its last line: a code, a blank, and no 0001 (the greeting)."""
    lines = reply.split(b"\n")
    return any(re.match(rb"^(?!0001)\d{4} ", line) for line in lines[:-1])


def parse_status(reply: bytes) -> BirdStatus:
    """The reply to COMMAND, with or without the greeting."""
    protocols = sessions = exported = 0
    is_routing = False
    for line in reply.decode(errors="replace").splitlines():
        coded = _CODED.match(line)
        code, text = (coded.group(1), coded.group(2)) if coded else ("", line.strip())
        words = text.split()
        if code == "1002" and len(words) >= 4:
            is_routing = words[1] in _ROUTING
            if is_routing:
                protocols += 1
                sessions += words[3] == "up"
        elif code.startswith(("8", "9")):
            return BirdStatus(is_up=False, error=text)
        elif is_routing and (found := _EXPORTED.search(text)):
            exported += int(found.group(1))
    return BirdStatus(True, sessions, protocols, exported)
