"""Whose an address is that nobody may have as a VIP: a node's, or a gateway's. Pure.

Joins what the gossip says of the nodes, the kernel of this one, and its Node object.
"""

from __future__ import annotations

from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.connected import has_itself, interface_with, own_addresses
from lbnodeagent.kernel.present import Present
from purelb.addresses import IPAddress


class Landmarks:
    """Asked for each VIP of a pass."""

    def __init__(self, present: Present, members: Members) -> None:
        self._present = present
        self._members = members
        self._internal: frozenset[IPAddress] = frozenset()
        self._external: frozenset[IPAddress] = frozenset()
        self._mistaken: frozenset[IPAddress] = frozenset()
        """VIPs of ours that the Node object calls the node's: kubelet looks at the interfaces every now and then, and
        goes on to say so for a while after a VIP has moved away."""

    def node_has(self, internal: frozenset[IPAddress], external: frozenset[IPAddress]) -> None:
        """This node's addresses, by its Node object."""
        self._internal, self._external = internal, external
        self._mistaken &= internal | external

    def own(self, dummy: str) -> frozenset[IPAddress]:
        """This node's addresses, as the peers are told them. A VIP isn't one, though kubelet may take it for one."""
        named = {address for address in self._internal | self._external if self._is_own(address, dummy)}
        return own_addresses(self._present, dummy) | named

    def whose(self, vip: IPAddress, dummy: str) -> str | None:
        """Whose ``vip`` is, if it is somebody's."""
        node = self._members.hosts.node_with(vip)
        if node is not None:
            return f"node {node}'s address"
        interface = interface_with(vip, self._present, dummy)
        if interface is not None:
            return f"an address of this node, on {interface}"
        if self._is_own(vip, dummy):
            return "this node's address"
        if vip in self._present.gateways:
            return "the gateway of this node's default route"
        return None

    def _is_own(self, address: IPAddress, dummy: str) -> bool:
        """Whether the Node object calls it the node's, and not by mistake."""
        if address not in self._internal and address not in self._external:
            return False
        if self._present.ours(address):
            self._mistaken |= {address}
        if address in self._mistaken:
            return False
        return address in self._external or has_itself(address, self._present, dummy)
