"""What the Grafana dashboard shows: its panels, and what each asks of Prometheus.

How that becomes a file is grafana.py's; `build` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from manifests.grafana import Panel, Query


def _quantiles(metric: str, by: str, legend: str, *shares: float) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({', '.join(filter(None, (by, 'le')))}) "
            f"(rate({metric}_bucket[$__rate_interval])))",
            f"{legend} p{share * 100:g}".strip(),
        )
        for share in shares
    )


def _rate(metric: str, by: str, legend: str) -> Query:
    return Query(f"sum by ({by}) (rate({metric}[$__rate_interval]))", legend)


def _moved(metric: str, by: str, legend: str) -> Query:
    return Query(f"sum by ({by}) (increase({metric}[$__rate_interval]))", legend)


_ON_TWO: Final = (
    "count(count by (ip) (group by (ip, node) (purelb_lbnodeagent_announced)) > 1 "
    "unless on (ip) purelb_lbnodeagent_routed) or vector(0)"
)
_POOL: Final = "max by (pool) (purelb_address_pool_addresses_in_use) / max by (pool) (purelb_address_pool_size)"

ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "One look",
        (
            Panel(
                "Addresses",
                "stat",
                (Query("count(group by (ip) (purelb_lbnodeagent_announced)) or vector(0)", "announced"),),
                "Announced by at least one node.",
                width=4,
                height=4,
            ),
            Panel("On two nodes", "stat", (Query(_ON_TWO, "twice"),), "Must be 0.", width=4, height=4, good=0),
            Panel(
                "On no node",
                "stat",
                (Query("max(purelb_lbnodeagent_nowhere) or vector(0)", "nowhere"),),
                "To be announced, and nobody can. Must be 0.",
                width=4,
                height=4,
                good=0,
            ),
            Panel(
                "Services waiting",
                "stat",
                (Query("max(purelb_allocator_waiting_services) or vector(0)", "waiting"),),
                "For an address.",
                width=4,
                height=4,
                good=0,
            ),
            Panel(
                "Nodes that don't serve",
                "stat",
                (Query("count(purelb_lbnodeagent_serving == 0) or vector(0)", "not serving"),),
                "Their data path fails.",
                width=4,
                height=4,
                good=0,
            ),
            Panel(
                "Agents that don't hear all",
                "stat",
                (
                    Query(
                        "count(purelb_election_member_count < scalar(count(purelb_election_member_count))) "
                        "or vector(0)",
                        "apart",
                    ),
                ),
                "They see fewer nodes than there are agents.",
                width=4,
                height=4,
                good=0,
            ),
        ),
    ),
    (
        "Where addresses are",
        (
            Panel(
                "Which node has which address",
                "table",
                (Query("group by (service, ip, node) (purelb_lbnodeagent_announced)"),),
                "One for routers is on several.",
                width=12,
                height=9,
            ),
            Panel(
                "Addresses of each node",
                "timeseries",
                (
                    Query(
                        "count by (node) (group by (ip, node) (purelb_lbnodeagent_announced) "
                        "unless on (ip) purelb_lbnodeagent_routed)",
                        "{{node}}",
                    ),
                ),
                "Those for routers left out.",
                width=12,
                height=9,
                stacked=True,
            ),
            Panel(
                "Pools", "bargauge", (Query(_POOL, "{{pool}}"),), "Share of addresses in use.", "percentunit", width=6
            ),
            Panel(
                "Addresses in use",
                "timeseries",
                (Query("max by (pool) (purelb_address_pool_addresses_in_use)", "{{pool}}"),),
                width=6,
            ),
            Panel(
                "Requests refused",
                "timeseries",
                (
                    Query(
                        "sum by (pool, reason) (purelb_address_pool_allocation_rejected_total)", "{{pool}}: {{reason}}"
                    ),
                ),
                "By the allocator since its start, and why.",
                width=6,
            ),
            Panel(
                "From Service to address",
                "timeseries",
                _quantiles("purelb_allocator_allocation_seconds", "", "", 0.5, 0.99),
                "As the allocator measures it.",
                "s",
                width=6,
            ),
        ),
    ),
    (
        "What moved, and why",
        (
            Panel(
                "Addresses that came to a node",
                "timeseries",
                (_moved("purelb_lbnodeagent_takeover_seconds_count", "node, reason", "{{node}}: {{reason}}"),),
                "died, left: the node that had it; planned: by the allocator's plan; new: nobody had it.",
                stacked=True,
            ),
            Panel(
                "Planned moves",
                "timeseries",
                (_moved("purelb_allocator_planned_moves_total", "reason", "{{reason}}"),),
                "lost: their node can't have them any more; preferred, apart, share: where they are better.",
                stacked=True,
            ),
            Panel(
                "Takeover, from noticing to announcing",
                "timeseries",
                _quantiles("purelb_lbnodeagent_takeover_seconds", "reason", "{{reason}}", 0.5, 0.95),
                "",
                "s",
            ),
            Panel(
                "From which node to which",
                "timeseries",
                (_moved("purelb_lbnodeagent_announce_slot_steal_total", "from, to", "{{from}} to {{to}}"),),
                width=6,
            ),
            Panel(
                "Other hosts, other programs",
                "timeseries",
                (
                    _moved("purelb_lbnodeagent_address_conflicts_total", "node", "{{node}}: conflicts"),
                    _moved("purelb_lbnodeagent_address_restorations_total", "node", "{{node}}: removed, put back"),
                ),
                "Who answers for our addresses, and what takes them away.",
                width=6,
            ),
            Panel(
                "What agents find wrong",
                "timeseries",
                (Query("max by (node, check) (purelb_lbnodeagent_findings) > 0", "{{node}}: {{check}}"),),
                "kubectl purelb doctor says more.",
                width=6,
            ),
            Panel(
                "Refused by a rule",
                "timeseries",
                (_moved("purelb_lbnodeagent_refusals_total", "node, rule", "{{node}}: {{rule}}"),),
                "docs/invariants.md says what each is.",
                width=6,
            ),
            Panel(
                "Connections that outlive a move of their address",
                "timeseries",
                (
                    Query("sum(purelb_lbnodeagent_flows_served) or vector(0)", "served by the node that had it"),
                    Query("sum(purelb_lbnodeagent_flows_passed_on) or vector(0)", "passed on by the one that has it"),
                    Query("sum(purelb_lbnodeagent_flows_lost) or vector(0)", "lost, since the agents started"),
                ),
                "With PURELB_KEEP_FLOWS. A node may be switched off without breaking any once it serves none.",
                width=24,
                height=6,
            ),
        ),
    ),
    (
        "Who hears whom",
        (
            Panel(
                "Nodes that each agent sees",
                "timeseries",
                (Query("max by (node) (purelb_election_member_count)", "{{node}}"),),
                "All lines must be one.",
            ),
            Panel(
                "Nodes that serve",
                "timeseries",
                (
                    Query("min by (node) (purelb_lbnodeagent_serving)", "{{node}}: serves"),
                    Query("max by (node) (purelb_lbnodeagent_cut_off)", "{{node}}: cut off"),
                ),
                unit="bool_on_off",
            ),
            Panel(
                "Round trips of the gossip",
                "timeseries",
                _quantiles("purelb_gossip_probe_rtt_seconds", "node", "{{node}}", 0.5, 0.99),
                "",
                "s",
            ),
            Panel(
                "Suspicions",
                "timeseries",
                (
                    _moved("purelb_gossip_suspicions_total", "node", "{{node}} suspects"),
                    _moved("purelb_gossip_suspicions_refuted_total", "node", "{{node}}: refuted"),
                    _moved("purelb_gossip_refutations_total", "node", "{{node}} was suspected"),
                ),
                "Those that aren't refuted are deaths.",
            ),
            Panel(
                "Traffic of the gossip",
                "timeseries",
                (_rate("purelb_gossip_bytes_total", "node, direction", "{{node}} {{direction}}"),),
                unit="Bps",
            ),
            Panel(
                "Told to neighbours",
                "timeseries",
                (
                    _moved("purelb_lbnodeagent_garp_sent_total", "node", "{{node}}: ARP"),
                    _moved("purelb_lbnodeagent_na_sent_total", "node", "{{node}}: NDP"),
                    _moved("purelb_lbnodeagent_garp_errors_total", "node", "{{node}}: ARP errors"),
                    _moved("purelb_lbnodeagent_na_errors_total", "node", "{{node}}: NDP errors"),
                ),
                "Gratuitous ARP frames and unsolicited neighbour advertisements.",
            ),
        ),
    ),
    (
        "The programs",
        (
            Panel(
                "How late the data plane is",
                "timeseries",
                _quantiles("purelb_lbnodeagent_dataplane_lag_seconds", "node", "{{node}}", 0.99),
                "Failover is later by as much.",
                "s",
            ),
            Panel(
                "How long the API server takes",
                "timeseries",
                _quantiles("purelb_k8s_client_request_seconds", "verb", "{{verb}}", 0.5, 0.99),
                "",
                "s",
            ),
            Panel(
                "Since the API server was heard",
                "timeseries",
                (Query("max by (pod) (purelb_k8s_client_silence_seconds)", "{{pod}}"),),
                "Up to 180 in a quiet cluster.",
                "s",
            ),
            Panel(
                "Tried again",
                "timeseries",
                (
                    _moved("purelb_k8s_client_update_errors_total", "pod", "{{pod}}: objects"),
                    _moved("purelb_lbnodeagent_netlink_errors_total", "node, subject", "{{node}}: {{subject}}"),
                    _moved("purelb_allocator_mistakes_total", "part", "mistakes: {{part}}"),
                ),
            ),
            Panel("Memory", "timeseries", (Query("process_resident_memory_bytes", "{{pod}}"),), unit="bytes"),
            Panel(
                "Processor",
                "timeseries",
                (Query("rate(process_cpu_seconds_total[$__rate_interval])", "{{pod}}"),),
                "Of one core.",
                "percentunit",
            ),
        ),
    ),
)
"""Title of each row, and its panels, left to right as far as they fit."""


def panels() -> Iterator[Panel]:
    """All of them."""
    for _, row in ROWS:
        yield from row
