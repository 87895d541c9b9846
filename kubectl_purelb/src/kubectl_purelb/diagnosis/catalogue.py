"""Why each check matters, in a sentence, and where docs/ tell more. Values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purelb.checks import Check

WHY: Final[Mapping[Check, str]] = {
    Check.STRICT_ARP: "several nodes answer for one address, and clients reach any of them, or nobody",
    Check.ARP_ANNOUNCE: "neighbours learn from its requests that the node has addresses that another node announces",
    Check.ARP_FLUX: "neighbours learn one MAC or the other for an address, and switches see it move",
    Check.ARP_MUTE: "no neighbour can find the addresses that this node announces",
    Check.PROXY_ARP: "neighbours send to this node what belongs to others, addresses of pools too",
    Check.RP_FILTER: "clients of other subnets get no answer from addresses on that interface",
    Check.WAY_BACK: "firewalls and routers that see one half of a connection drop it",
    Check.FORWARDING: "the node takes clients' packets and passes them on to no pod",
    Check.ADDRESS_MANAGER: "addresses are gone for a moment, each time that somebody changes the node's network",
    Check.IPV6_OFF: "IPv6 addresses can't be on that interface, and other nodes have to have them all",
    Check.CONNTRACK_FULL: "new connections are dropped without a word while old ones go on",
    Check.KERNEL_MARKS: "an agent that starts again doesn't know which addresses are its own, and leaves them behind",
    Check.LEDGER_LOST: "an agent that is replaced takes its own addresses for somebody else's, and leaves them behind",
    Check.DUMMY_DRIVER: "routed addresses are on no interface, and routing software has nothing to tell",
    Check.AGENTS_UNHEARD: "nodes that don't hear each other elect each for itself: an address is on two, or comes late",
    Check.GOSSIP_UDP: "a takeover is noticed late, and what nodes tell each other at a hand-over is lost",
    Check.GOSSIP_TCP: "a node that starts can't join, and what UDP loses is never made good",
    Check.GOSSIP_KEY_INVALID: "agents go on with the key that they have, and one that starts anew has none",
    Check.PORT_TAKEN: "the agent can't listen there: it isn't heard, or nobody sees its metrics and whether it's ready",
    Check.NOT_SERVING: "the node's addresses are on other nodes, or, where no other can have them, don't work",
    Check.NO_SUBNET: "addresses of that family are announced to no neighbour",
    Check.ADDRESS_REMOVED: "addresses are gone for a moment each time, or go from node to node",
    Check.STRANGER_ANSWERS: "clients reach that host in the place of the Service",
    Check.TWO_ANSWERS: "clients reach one of them at random",
    Check.NO_ANSWER: "the node announces the address and has it, and no client on that subnet finds it",
    Check.POOL_NEIGHBOUR: "a Service that is given that address and that host take it from each other",
    Check.FLOWS_NOT_KEPT: "established connections are reset when their address moves, in spite of PURELB_KEEP_FLOWS",
    Check.NOT_INSTALLED: "no Service of type LoadBalancer gets an address",
    Check.PROGRAM_NOT_READY: "addresses are given, or announced, late or not at all",
    Check.MEMBERSHIP_STALE: "nobody knows which nodes take part, and nothing is planned",
    Check.AGENT_SILENT: "what is wrong on those nodes isn't found",
    Check.OLD_KUBERNETES: "its API server doesn't check what is applied, or refuses PureLB's CRDs",
    Check.SECOND_PURELB: "two allocators and two agents per node give and take the same addresses",
    Check.OTHER_CONTROLLER: "two programs write one Service's addresses, each over what the other wrote",
    Check.VIP_IS_NODE_ADDRESS: "the cluster speaks to the node by an address that moves to another node",
    Check.POOL_NODE_ADDRESS: "those addresses are never given, so that the pool is smaller than it looks",
    Check.POOL_GATEWAY: "a Service that is given it cuts the subnet off from everything else",
    Check.POOL_PODS: "those addresses are never given: what is sent to them goes to pods",
    Check.POOL_CLUSTER_IPS: "those addresses are never given: in the cluster they are other Services",
    Check.POOL_REFUSED: "no Service is given an address of it",
    Check.POOL_UNREACHABLE: "its addresses are given and announced nowhere",
    Check.AGENT_CONFIG: "the nodes that it is for announce by another configuration, or nothing",
    Check.NOBODY_SERVES: "addresses stay where they are as a last resort, and a drain can't move them",
    Check.GOSSIP_KEY_DIFFERS: "those nodes elect for themselves: an address is on two nodes",
    Check.MTU_DIFFERS: "large packets vanish on the way to or from some nodes: small requests work, large ones hang",
    Check.CLOCK_SKEW: "certificates and tokens are refused, leases end early, and logs tell the wrong order",
}


def page_of(check: Check) -> str:
    """Where more is told."""
    return f"docs/doctor.md#{check.value}"
