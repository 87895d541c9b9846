"""Names that users and other programs see, each once: annotations, event reasons, ports, the API group.

Who writes what is noted beside it. Source: PureLB v0.6.1 to v0.17 (annotations, reasons), where not said otherwise.
"""

from __future__ import annotations

from typing import Final

# --- API group -------------------------------------------------------------------------------------------------------
GROUP: Final = "purelb.io"
VERSIONS: Final = ("v2", "v1")
"""Served versions; both have one schema, so either may be read."""
READ_VERSION: Final = "v1"
"""The version our programs watch: the one that PureLB v0.6 to v0.13 users have."""
SERVICE_GROUPS: Final = "servicegroups"
LB_NODE_AGENTS: Final = "lbnodeagents"
MEMBERSHIPS: Final = "memberships"
"""Ours: who is there, as the gossip's spokesman publishes it."""

# --- loadBalancerClass -----------------------------------------------------------------------------------------------
CLASSES: Final = frozenset({"purelb.io/purelb", "purelb.io/purelbv2"})
"""Classes that we answer: v0.6 to v0.13, and v0.17."""
DEFAULT_ANNOUNCER: Final = "PureLB"
"""Value of the environment variable DEFAULT_ANNOUNCER with which Services without a class are ours too."""

# --- annotations on Services: the user's -----------------------------------------------------------------------------
SERVICE_GROUP: Final = "purelb.io/service-group"
ADDRESSES: Final = "purelb.io/addresses"
ALLOW_SHARED_IP: Final = "purelb.io/allow-shared-ip"
ALLOW_LOCAL: Final = "purelb.io/allow-local"
MULTI_POOL: Final = "purelb.io/multi-pool"
NODE_AFFINITY: Final = "purelb.io/node-affinity"
RE_EVALUATE: Final = "purelb.io/re-evaluate"
PREFERRED_NODES: Final = "purelb.io/preferred-nodes"
"""Ours: names of nodes, or a label selector, where its VIPs should rather be."""
SPREAD_GROUP: Final = "purelb.io/spread-group"
"""Ours: VIPs of Services of a namespace with one such name are on different nodes while there are enough."""

# --- labels on Nodes -------------------------------------------------------------------------------------------------
NODE_WEIGHT: Final = "purelb.io/weight"
"""Ours: how many VIPs a node is to have beside the others, from 0 to 100; 1 if not given."""

# --- annotations on Services: the allocator's ------------------------------------------------------------------------
ALLOCATED_BY: Final = "purelb.io/allocated-by"
BRAND: Final = "PureLB"
"""Value of allocated-by; agents announce only what carries it."""
ALLOCATED_FROM: Final = "purelb.io/allocated-from"
ALLOCATED_ADDRESSES: Final = "purelb.io/allocated-addresses"
"""Ours: what the allocator gave, where somebody else has written it into the status since."""
POOL_TYPE: Final = "purelb.io/pool-type"
SKIP_IPV6_DAD: Final = "purelb.io/skip-ipv6-dad"
PLACEMENT: Final = "purelb.io/placement"
"""Ours: for each VIP the nodes that should have it, in their order (placement.py)."""

# --- annotations on Services: the announcing agent's -----------------------------------------------------------------
ANNOUNCING_IPV4: Final = "purelb.io/announcing-IPv4"
ANNOUNCING_IPV6: Final = "purelb.io/announcing-IPv6"
ANNOUNCING_KEYS: Final = (ANNOUNCING_IPV4, ANNOUNCING_IPV6)

# --- on the Membership: an operator's ---------------------------------------------------------------------------------
REBALANCE: Final = "purelb.io/rebalance"
"""Ours: whatever is said there anew asks the allocator to have all even now, and to wait for no node. Only who may
write PureLB's own objects can ask."""

# --- on Leases: the agents', for whoever reads PureLB v0.17's, and for the plugin -------------------------------------
NODE_LEASE: Final = "purelb-node-"
"""Before the node's name: the Lease of its agent."""
LEASE_SUBNETS: Final = "purelb.io/subnets"
"""Where the node announces, comma-separated."""
LEASE_INSTANCE: Final = "purelb.io/instance"
"""The uid of the agent's pod."""
LEASE_FINDINGS: Final = "purelb.io/findings"
"""Ours: what the agent finds wrong around its node (checks.py)."""
LEASE_FACTS: Final = "purelb.io/facts"
"""Ours: what is compared with other nodes (nodefacts.py)."""

DEFAULT_GROUP: Final = "default"
"""The ServiceGroup that serves a Service which names none."""

# --- Events ----------------------------------------------------------------------------------------------------------
ALLOCATOR_COMPONENT: Final = "purelb-allocator"
AGENT_COMPONENT: Final = "purelb-lbnodeagent"
ALLOCATORS: Final = frozenset({ALLOCATOR_COMPONENT, "allocator"})
"""Field managers whose addresses are PureLB's: ours, and that of v0.6 to v0.17 (client-go takes the program's name)."""

UNKNOWN_MANAGERS: Final = frozenset({"", "ancient-changes", "before-first-apply"})
"""Field managers that stand for several, or for nobody knows whom (apimachinery, managedfields)."""

REASON_PARSED: Final = "Parsed"
REASON_PARSE_FAILED: Final = "ParseFailed"
REASON_ASSIGNED: Final = "AddressAssigned"
REASON_ALLOCATION_FAILED: Final = "AllocationFailed"
REASON_RELEASED: Final = "AddressReleased"
REASON_CONFIGURATION_WARNING: Final = "ConfigurationWarning"
REASON_ANNOUNCING_LOCAL: Final = "AnnouncingLocal"
REASON_ANNOUNCING_NON_LOCAL: Final = "AnnouncingNonLocal"
REASON_ANNOUNCEMENT_FAILED: Final = "AnnouncementFailed"
REASON_ANNOUNCE_SLOT_STEAL: Final = "AnnounceSlotSteal"
REASON_ADDRESS_CONFLICT: Final = "AddressConflict"
REASON_STRICT_ARP_OFF: Final = "StrictARPOff"
REASON_NO_SUBNET: Final = "NoSubnet"
REASON_AGENTS_UNHEARD: Final = "AgentsUnheard"
REASON_NOT_SERVING: Final = "NotServing"
REASON_NO_NODE_SERVING: Final = "NoNodeServing"
REASON_ADDRESS_REMOVED: Final = "AddressRemoved"
REASON_LOCAL_OVERRIDE: Final = "LocalOverride"
REASON_FORBIDDEN: Final = "Forbidden"
REASON_GOSSIP_KEY_INVALID: Final = "GossipKeyInvalid"
REASON_CONNECTIONS_KEPT: Final = "ConnectionsKept"
REASON_CONNECTIONS_ENDED: Final = "ConnectionsEnded"
REASON_CONNECTIONS_LOST: Final = "ConnectionsLost"
REASON_CONFIG_IGNORED: Final = "ConfigIgnored"
REASON_CONFIG_ERROR: Final = "ConfigError"
REASON_INVALID_NODE_SELECTOR: Final = "InvalidNodeSelector"

# --- Ports and interfaces --------------------------------------------------------------------------------------------
GOSSIP_PORT: Final = 7934
METRICS_PORT: Final = 7472
METRICS_TLS_PORT: Final = 7473
PAGE_PORT: Final = 7474
"""Ours: of the allocator's status page, where our manifests turn it on."""
DUMMY_INTERFACE: Final = "kube-lb0"
DEFAULT_INTERFACE: Final = "default"
"""Value of localint that stands for the interface of the default route."""

# --- What the allocator makes at the first start ----------------------------------------------------------------------
GOSSIP_SECRET: Final = "purelb-gossip"
"""Secret in PureLB's namespace with the key of the gossip."""
GOSSIP_SECRET_KEY: Final = "key"
"""Its entry that seals: 16, 24 or 32 bytes (AES-128, -192, -256). All others only open."""
DEFAULT_NODE_AGENT: Final = "default"
"""Name of the LBNodeAgent that is made where there is none."""


def labels_of_made(program: str) -> dict[str, str]:
    """On all that a program makes itself (Kubernetes, "Recommended Labels")."""
    return {
        "app.kubernetes.io/name": "purelb",
        "app.kubernetes.io/part-of": "purelb",
        "app.kubernetes.io/managed-by": program,
    }
