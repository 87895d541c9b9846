"""What this run of the agent writes to its peers, and what of theirs it believes: metas with lives, sealed messages.

Keeps which life and which keys each live member says that it has, and lets through what envelope.py's rules take. Pure.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.envelope import Life, Recipient, Ruling, Sender, admits_bare, opened
from lbnodeagent.gossip.events import PeerAlive, PeerEvent, PeerGone, peer_event
from lbnodeagent.gossip.flowsmessage import FlowsMessage, decode_flows, encode_flows, is_of_flows
from lbnodeagent.gossip.keyrotation import Mark, Others
from lbnodeagent.gossip.meta import (
    HandoverMessage,
    Meta,
    decode_message,
    decode_meta,
    encode_messages,
    encode_meta,
)
from lbnodeagent.gossip.straymessage import StrayMessage, decode_strays, encode_strays, is_of_strays
from memberlist.events import Event, UserMessage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """What a payload of the gossip says, and whom it says to be from."""

    message: HandoverMessage | FlowsMessage | StrayMessage | None
    ruling: Ruling


class Correspondence:
    """Of one node in one run of its agent, which ``life`` tells from the others: six random bytes."""

    def __init__(self, node: str, life: Life) -> None:
        self.keys: tuple[Mark, ...] = ()
        """Of the keys that this node opens, the one that it seals with first."""
        self.refused = 0
        """Messages that didn't count: recordings, and those of a life that isn't known yet."""
        self._node = node
        self._life = life
        self._sender = Sender(node, life)
        self._recipient = Recipient(life)
        self._flows_sender = Sender(node, life)
        self._flows_recipient = Recipient(life)
        """Apart, as those that come by streams and by packets overtake each other by more than the window."""
        self._lives: dict[str, Life] = {}
        self._keys: dict[str, tuple[Mark, ...]] = {}

    def begin_again(self) -> None:
        """Nobody is heard any more."""
        self._lives.clear()
        self._keys.clear()

    def meta(self, meta: Meta) -> bytes:
        """What this node says of itself, with its life and its keys."""
        return encode_meta(replace(meta, life=self._life, keys=self.keys))

    @property
    def others(self) -> Others:
        """What the other live members say of their keys."""
        return Others(self._keys.values())

    def write(self, to: str, message: HandoverMessage) -> list[bytes]:
        """The payloads of a message, sealed for the life of its recipient if that has one."""
        audience = self._lives.get(to)
        payloads = encode_messages(message)
        return payloads if audience is None else [self._sender.seal(payload, audience) for payload in payloads]

    def write_flows(self, to: str, message: FlowsMessage) -> list[bytes]:
        """Likewise, of flows: who has no life knows of none. Each is to be sent when the one before it is there."""
        audience = self._lives.get(to)
        if audience is None:
            return []
        return [self._flows_sender.seal(payload, audience) for payload in encode_flows(message)]

    def write_strays(self, to: str, message: StrayMessage) -> list[bytes]:
        """Likewise, of connections that nodes ask each other for."""
        audience = self._lives.get(to)
        return [] if audience is None else [self._flows_sender.seal(encode_strays(message), audience)]

    def hear(self, event: Event) -> PeerEvent | None:
        """What an event of the gossip means; None: nothing, or nothing that counts."""
        if isinstance(event, UserMessage):
            return self._message(event.payload)
        happened = peer_event(event, self._node)
        match happened:
            case PeerAlive(node, data, _):
                self._lives.pop(node, None)
                self._keys[node] = ()
                with contextlib.suppress(MetaError):  # what is wrong with it is said where it is used
                    meta = decode_meta(data)
                    if meta is not None:
                        self._keys[node] = meta.keys
                        if meta.life is not None:
                            self._lives[node] = meta.life
            case PeerGone(node):
                self._lives.pop(node, None)
                self._keys.pop(node, None)
            case _:
                pass
        return happened

    def _message(self, data: bytes) -> HandoverMessage | FlowsMessage | StrayMessage | None:
        try:
            read = self._read(data)
        except MetaError as error:
            log.debug("a peer's message can't be read", extra={"error": str(error)})
            self.refused += 1
            return None
        if read.ruling is not Ruling.TAKEN:
            self.refused += 1
            log.debug("a peer's message doesn't count", extra={"why": read.ruling.value})
            return None
        return read.message

    def _read(self, data: bytes) -> _Read:
        envelope = opened(data)
        if envelope is None:
            bare = decode_message(data)
            counts = bare is None or admits_bare(self._lives.get(bare.sender))
            return _Read(bare, Ruling.TAKEN if counts else Ruling.STRANGER)
        is_by_stream = is_of_flows(envelope.payload) or is_of_strays(envelope.payload)
        recipient = self._flows_recipient if is_by_stream else self._recipient
        ruling = recipient.rule(envelope, self._lives.get(envelope.sender))
        if ruling is not Ruling.TAKEN:
            return _Read(None, ruling)  # a recording of ten thousand flows isn't worth the reading
        payload = envelope.payload
        message = decode_flows(payload) or decode_strays(payload) or decode_message(payload)
        if message is not None and message.sender != envelope.sender:
            raise MetaError("a message in an envelope of another sender")
        return _Read(message, ruling)
