"""Gossip membership and failure detection on the wire protocol of HashiCorp memberlist.

Run a `Memberlist` as a task, `join` it to any member, and it tells `on_event` who is there and who isn't any more.
"""

from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.delegate import Delegate
from memberlist.driver import Memberlist
from memberlist.errors import (
    ConfigError,
    LabelMismatch,
    MemberlistError,
    StreamFailed,
    Unauthentic,
    UnknownMember,
    WireError,
)
from memberlist.events import (
    Event,
    JoinSealed,
    Member,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    UserMessage,
    Versions,
)
from memberlist.messages import State

__all__ = [
    "Config",
    "ConfigError",
    "Delegate",
    "Event",
    "JoinSealed",
    "Keyring",
    "LabelMismatch",
    "Member",
    "MemberFailed",
    "MemberJoined",
    "MemberLeft",
    "MemberSuspected",
    "MemberUpdated",
    "Memberlist",
    "MemberlistError",
    "NameConflict",
    "State",
    "StreamFailed",
    "Unauthentic",
    "UnknownMember",
    "UserMessage",
    "Versions",
    "WireError",
]
