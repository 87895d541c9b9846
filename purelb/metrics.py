"""All metric names. The page that shows them is page.py's.

Names and labels are PureLB's, so that dashboards and alerts go on working; ours come after them. Times are in seconds.
"""

from __future__ import annotations

from typing import Final

from purelb.collectors import GossipCollector, RoutedCollector
from purelb.light_prometheus import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)


def new_registry() -> CollectorRegistry:
    """A registry of one program, with the process's own figures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class ClientMetrics:
    """What both programs count about the Kubernetes API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.updates = Counter(
            "purelb_k8s_client_updates_total",
            "Objects that were looked at because they changed.",
            registry=registry,
        )
        self.update_errors = Counter(
            "purelb_k8s_client_update_errors_total",
            "Looks at an object that failed and are tried again.",
            registry=registry,
        )
        self.config_loaded = Gauge(
            "purelb_k8s_client_config_loaded_bool",
            "1 if the configuration was read and is used.",
            registry=registry,
        )
        self.requests = Histogram(
            "purelb_k8s_client_request_seconds",
            "How long requests to the API server took, also those that failed; watches are none of them.",
            ["verb"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.forbidden = Gauge(
            "purelb_k8s_client_forbidden",
            "1 per kind of request that the API server refuses, for lack of a right, again and again.",
            ["request"],
            registry=registry,
        )
        self.synced = Gauge(
            "purelb_k8s_client_synced_bool",
            "1 while all objects of a kind are known and their changes are heard.",
            ["kind"],
            registry=registry,
        )
        self.silence = Gauge(
            "purelb_k8s_client_silence_seconds",
            "Since the API server last said something of use about a kind.",
            ["kind"],
            registry=registry,
        )

    def requested(self, verb: str, seconds: float) -> None:
        """A request came to its end; ``verb`` is one of five (rights.py)."""
        self.requests.labels(verb).observe(seconds)


MOST_UNKNOWN_POOLS: Final = 64
"""Names of ServiceGroups that there aren't which are counted each by itself; all others as ``<unknown>``."""


class AllocatorMetrics(ClientMetrics):
    """The allocator's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._asked_for: set[str] = set()
        self.pool_size = Gauge("purelb_address_pool_size", "Addresses in a ServiceGroup.", ["pool"], registry=registry)
        self.pool_in_use = Gauge(
            "purelb_address_pool_addresses_in_use",
            "Addresses of a ServiceGroup in use.",
            ["pool"],
            registry=registry,
        )
        self.rejected = Counter(
            "purelb_address_pool_allocation_rejected_total",
            "Requests for an address that were refused.",
            ["pool", "reason"],
            registry=registry,
        )
        self.multi_pool = Counter(
            "purelb_address_pool_multipool_allocations_total",
            "Allocations of one address from each range.",
            ["pool"],
            registry=registry,
        )
        self.multi_pool_partial = Counter(
            "purelb_address_pool_multipool_partial_total",
            "Those of them to which some range had no address to give.",
            ["pool"],
            registry=registry,
        )
        self.balanced = Counter(
            "purelb_address_pool_balance_pools_allocations_total",
            "Allocations from the range with the fewest addresses in use.",
            ["pool"],
            registry=registry,
        )
        self.out_of_scope = Gauge(
            "purelb_servicegroups_out_of_scope",
            "ServiceGroups that are not read for their namespace: none, as all are.",
            ["namespace", "name", "type"],
            registry=registry,
        )
        self.leads = Gauge(
            "purelb_allocator_leader", "1 if this allocator is the one that writes, 0 on standby.", registry=registry
        )
        self.lease_unrenewed = Gauge(
            "purelb_allocator_lease_unrenewed_seconds",
            "Since the Lease of the allocators was last seen to change: more than 10 says that none leads.",
            registry=registry,
        )
        self.waiting = Gauge(
            "purelb_allocator_waiting_services", "Services that wait for an address.", registry=registry
        )
        self.planned_moves = Counter(
            "purelb_allocator_planned_moves_total",
            "VIPs that were given another node by the plan, and why.",
            ["reason"],
            registry=registry,
        )
        self.mistakes = Counter(
            "purelb_allocator_mistakes_total",
            "Mistakes of the program's own with a Service or a group, each in the log; the others are served on.",
            ["part"],
            registry=registry,
        )
        for part in ("review", "planning", "asking", "returning", "survey"):
            self.mistakes.labels(part)  # shown as 0 from the beginning
        self.group_status_writes = Counter(
            "purelb_allocator_sg_status_writes_total",
            "Writes of a ServiceGroup's status.",
            ["outcome"],
            registry=registry,
        )
        self.sidecar_calls = Counter(
            "purelb_allocator_sidecar_rpc_total",
            "Calls to IPAM sidecars, by what came of them.",
            ["socket", "method", "code"],
            registry=registry,
        )
        self.sidecar_call_seconds = Histogram(
            "purelb_allocator_sidecar_rpc_duration_seconds",
            "How long calls to IPAM sidecars took.",
            ["socket", "method"],
            registry=registry,
        )
        self.allocation_seconds = Histogram(
            "purelb_allocator_allocation_seconds",
            "From hearing of a Service to its address in the API.",
            buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )

    def count_refusal(self, pool: str, reason: str) -> None:
        """A request was refused. Names of groups that there aren't are any tenant's text: some are counted by name."""
        if reason == "unknown_pool" and pool not in self._asked_for:
            if len(self._asked_for) >= MOST_UNKNOWN_POOLS:
                pool = "<unknown>"
            else:
                self._asked_for.add(pool)
        self.rejected.labels(pool, reason).inc()

    def forget_pool(self, name: str) -> None:
        """A ServiceGroup is no more, and neither are its gauges; what was counted stays, as counters must."""
        for metric in (self.pool_size, self.pool_in_use):
            metric.remove_by_labels({"pool": name})


class AgentMetrics(ClientMetrics):
    """The node agent's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.announced = Gauge(
            "purelb_lbnodeagent_announced",
            "1 per address that this node announces.",
            ["service", "node", "ip"],
            registry=registry,
        )
        self.routed = RoutedCollector()
        registry.register(self.routed)
        self.garp_sent = Counter("purelb_lbnodeagent_garp_sent_total", "Gratuitous ARP frames sent.", registry=registry)
        self.garp_errors = Counter(
            "purelb_lbnodeagent_garp_errors_total",
            "Gratuitous ARP frames that could not be sent.",
            registry=registry,
        )
        self.na_sent = Counter(
            "purelb_lbnodeagent_na_sent_total",
            "Unsolicited neighbour advertisements sent.",
            registry=registry,
        )
        self.na_errors = Counter(
            "purelb_lbnodeagent_na_errors_total",
            "Unsolicited neighbour advertisements that could not be sent.",
            registry=registry,
        )
        self.additions = Counter(
            "purelb_lbnodeagent_address_additions_total", "Addresses added to interfaces.", registry=registry
        )
        self.withdrawals = Counter(
            "purelb_lbnodeagent_address_withdrawals_total",
            "Addresses removed from interfaces.",
            registry=registry,
        )
        self.renewals = Counter(
            "purelb_lbnodeagent_address_renewals_total", "Lifetimes of addresses renewed.", registry=registry
        )
        self.renewal_errors = Counter(
            "purelb_lbnodeagent_address_renewal_errors_total", "Renewals that failed.", registry=registry
        )
        self.election_wins = Counter(
            "purelb_lbnodeagent_election_wins_total", "Addresses that this node won.", registry=registry
        )
        self.election_losses = Counter(
            "purelb_lbnodeagent_election_losses_total", "Addresses that this node lost.", registry=registry
        )
        self.slot_steals = Counter(
            "purelb_lbnodeagent_announce_slot_steal_total",
            "Addresses that a node announces which another one announced before.",
            ["from", "to"],
            registry=registry,
        )
        self.selector_state = Gauge(
            "purelb_lbnodeagent_selector_state",
            "1 for how the LBNodeAgent that applies to this node was chosen.",
            ["state"],
            registry=registry,
        )
        self.config_errors = Gauge(
            "purelb_lbnodeagent_config_errors",
            "1 per LBNodeAgent that this node can't use as it is written.",
            ["config", "reason"],
            registry=registry,
        )
        self.gossip_keys = Gauge(
            "purelb_gossip_key",
            "1 per key of the gossip in use: one seals what is sent, all open what is received.",
            ["fingerprint", "use"],
            registry=registry,
        )
        self.gossip = GossipCollector()
        registry.register(self.gossip)
        self.round_trips = Histogram(
            "purelb_gossip_probe_rtt_seconds",
            "How long peers took to answer direct probes.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
            registry=registry,
        )
        self.members = Gauge(
            "purelb_election_member_count",
            "Nodes that take part in the election, this one included.",
            registry=registry,
        )
        self.subnets = Gauge(
            "purelb_election_subnet_count", "Subnets on which some node can announce.", registry=registry
        )
        self.local_subnets = Gauge(
            "purelb_election_local_subnet_count", "Subnets on which this node can announce.", registry=registry
        )
        self.cut_off = Gauge("purelb_lbnodeagent_cut_off", "1 while no peer answers this node.", registry=registry)
        self.nowhere = Gauge(
            "purelb_lbnodeagent_nowhere",
            "Addresses that are to be announced and that no node has, by the one node that tells; 0 on all others.",
            registry=registry,
        )
        self.affinity_fallback = Counter(
            "purelb_election_affinity_fallback_total",
            "Addresses that this node won without an endpoint, as no node that has one can announce them.",
            ["service"],
            registry=registry,
        )
        self.stray_answers = Gauge(
            "purelb_lbnodeagent_stray_arp_interfaces",
            "Interfaces that answer ARP for what kube-proxy in mode ipvs keeps on its own.",
            registry=registry,
        )
        self.findings = Gauge(
            "purelb_lbnodeagent_findings",
            "What a check finds wrong around this node now, as kubectl purelb doctor tells it.",
            ["check"],
            registry=registry,
        )
        self.serving = Gauge(
            "purelb_lbnodeagent_serving",
            "1 while this node's data path works, as far as the agent can see: its Node, kube-proxy, the probe.",
            registry=registry,
        )
        self.serving.set(1)
        self.unheard = Gauge(
            "purelb_lbnodeagent_unheard_peers",
            "Agents that run, by the API, and that this node doesn't hear in the gossip.",
            registry=registry,
        )
        self.messages_refused = Gauge(
            "purelb_gossip_messages_refused",
            "Hand-over messages since the start that didn't count: recordings, and those of a life not known yet.",
            registry=registry,
        )
        self.conflicts = Counter(
            "purelb_lbnodeagent_address_conflicts_total",
            "Addresses for which a host that isn't ours was heard to answer, or another node for long.",
            registry=registry,
        )
        self.restored = Counter(
            "purelb_lbnodeagent_address_restorations_total",
            "Addresses put back after something else had removed them.",
            registry=registry,
        )
        self.takeover_seconds = Histogram(
            "purelb_lbnodeagent_takeover_seconds",
            "From noticing that an address is this node's to its being announced here, by why it is.",
            ["reason"],
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        for reason in ("died", "left", "planned", "new", "elected"):
            self.takeover_seconds.labels(reason)  # shown as 0 from the beginning
        self.kernel_errors = Counter(
            "purelb_lbnodeagent_netlink_errors_total",
            "What the kernel refused to do, each tried again.",
            ["subject"],
            registry=registry,
        )
        for subject in ("address", "interface", "route"):
            self.kernel_errors.labels(subject)
        self.refusals = Counter(
            "purelb_lbnodeagent_refusals_total",
            "Addresses that a rule kept from being placed or removed, whoever asked for it.",
            ["rule"],
            registry=registry,
        )
        for rule in ("forbidden-address", "not-given", "shadows-subnet", "not-ours", "no-single-host"):
            self.refusals.labels(rule)
        self.loop_lag = Histogram(
            "purelb_lbnodeagent_dataplane_lag_seconds",
            "How late the data plane's event loop runs what is due.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
            registry=registry,
        )


class RouterMetrics:
    """What the node agent knows of the node's routing software; there only if it was told to ask."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge("purelb_lbnodeagent_router_up", "1 if the node's routing software answers.", registry=registry)
        self.sessions = Gauge(
            "purelb_lbnodeagent_router_sessions",
            "Sessions of the node's routing software that are up: 0 says that nothing routes its addresses.",
            registry=registry,
        )
        self.routes = Gauge(
            "purelb_lbnodeagent_router_exported_routes",
            "Routes that the node's routing software exports to other routers.",
            registry=registry,
        )
