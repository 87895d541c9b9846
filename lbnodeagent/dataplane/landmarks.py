"""Whose an address is that nobody may have as a VIP: a node's, or a gateway's. Pure.

Joins what the gossip says of the nodes, the kernel of this one, and its Node object.
"""

from __future__ import annotations

from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.connected import interface_with, own_addresses
from lbnodeagent.kernel.present import Present
from purelb.addresses import Family, IPAddress


class Landmarks:
    """Asked for each VIP of a pass."""

    def __init__(self, present: Present, members: Members) -> None:
        self._present = present
        self._members = members
        self._of_node: frozenset[IPAddress] = frozenset()

    def node_has(self, addresses: frozenset[IPAddress]) -> None:
        """This node's addresses, by its Node object."""
        self._of_node = addresses

    def own(self, dummy: str) -> frozenset[IPAddress]:
        """This node's addresses, as the peers are told them. A VIP isn't one, though kubelet may take it for one."""
        of_node = {address for address in self._of_node if not self._present.ours(address)}
        return own_addresses(self._present, dummy) | of_node

    def whose(self, vip: IPAddress, dummy: str) -> str | None:
        """Whose ``vip`` is, if it is somebody's."""
        node = self._members.hosts.node_with(vip)
        if node is not None:
            return f"node {node}'s address"
        interface = interface_with(vip, self._present, dummy)
        if interface is not None:
            return f"an address of this node, on {interface}"
        if vip in self._of_node and not self._present.ours(vip):
            return "this node's address"
        if any(vip in route.gateways for family in Family for route in self._present.default_routes(family)):
            return "the gateway of this node's default route"
        return None
