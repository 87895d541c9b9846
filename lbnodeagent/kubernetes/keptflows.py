"""What users are told of connections that outlive a move of their address: the words of the events. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never

from lbnodeagent.tables import KeptFlows
from purelb import names


class KeptEvent(NamedTuple):
    """On a Service."""

    kind: Literal["Normal", "Warning"]
    reason: str
    text: str


def told(node: str, kept: KeptFlows) -> KeptEvent:
    """The event; ``node`` has the address now."""
    match kept.stage:
        case "begun":
            text = f"Node {kept.server} goes on serving {_connections(kept)}, which node {node} passes on to it"
            return KeptEvent("Normal", names.REASON_CONNECTIONS_KEPT, text)
        case "ended":
            text = (
                f"The last of {_connections(kept)} that node {kept.server} went on serving ended after "
                f"{kept.seconds:g} s; node {node} passed {kept.packets} packets on to it"
            )
            return KeptEvent("Normal", names.REASON_CONNECTIONS_ENDED, text)
        case "lost":
            text = (
                f"Node {kept.server} is gone, or its agent for longer than an upgrade takes, and with it "
                f"{_connections(kept)} that node {node} passed on to it"
            )
            return KeptEvent("Warning", names.REASON_CONNECTIONS_LOST, text)
        case _:
            assert_never(kept.stage)


def _connections(kept: KeptFlows) -> str:
    return f"{kept.flows} connection{'' if kept.flows == 1 else 's'} to {kept.vip}"
