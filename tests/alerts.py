"""What Prometheus sees of a healthy cluster, and of one with a fault for each alert: series in promtool's notation.

`promtool test rules` makes a value each minute of them; see Prometheus's "Unit testing for rules".
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

NODES: Final = ("w1", "w2", "w3")
AGENT: Final = {node: f'component="lbnodeagent",node="{node}",pod="lbnodeagent-{node}"' for node in NODES}
ALLOCATOR: Final = 'component="allocator",node="w1",pod="allocator-1"'


def _everywhere(name: str, value: str, labels: str = "") -> dict[str, str]:
    return {f"{name}{{{','.join(filter(None, (AGENT[node], labels)))}}}": value for node in NODES}


def _on(node: str, name: str, value: str, labels: str = "") -> dict[str, str]:
    return {f"{name}{{{','.join(filter(None, (AGENT[node], labels)))}}}": value}


def _allocator(name: str, value: str, labels: str = "") -> dict[str, str]:
    return {f"{name}{{{','.join(filter(None, (ALLOCATOR, labels)))}}}": value}


HEALTHY: Final[Mapping[str, str]] = {
    **_everywhere("up", "1x60"),
    **_allocator("up", "1x60"),
    **_allocator("purelb_allocator_waiting_services", "0x60"),
    **_allocator("purelb_allocator_lease_unrenewed_seconds", "1x60"),
    **_allocator("purelb_address_pool_size", "10x60", 'pool="default"'),
    **_allocator("purelb_address_pool_addresses_in_use", "2x60", 'pool="default"'),
    **_allocator("purelb_allocator_mistakes_total", "0x60", 'part="review"'),
    **_allocator("purelb_k8s_client_config_loaded_bool", "1x60"),
    **_allocator("purelb_k8s_client_update_errors_total", "0x60"),
    **_allocator("purelb_k8s_client_silence_seconds", "20x60", 'kind="Services"'),
    **_on("w1", "purelb_lbnodeagent_announced", "1x60", 'ip="10.0.0.1",service="default/web"'),
    **_on("w1", "purelb_lbnodeagent_announced", "1x60", 'ip="10.0.0.1",service="default/shares-it"'),
    **_everywhere("purelb_lbnodeagent_announced", "1x60", 'ip="10.9.0.1",service="default/routed"'),
    **_everywhere("purelb_lbnodeagent_routed", "1x60", 'ip="10.9.0.1"'),
    **_everywhere("purelb_lbnodeagent_nowhere", "0x60"),
    **_everywhere("purelb_lbnodeagent_address_conflicts_total", "0x60"),
    **_everywhere("purelb_lbnodeagent_address_restorations_total", "3x60"),
    **_everywhere("purelb_lbnodeagent_refusals_total", "1x60", 'rule="not-given"'),
    **_everywhere("purelb_election_member_count", "3x60"),
    **_everywhere("purelb_lbnodeagent_unheard_peers", "0x60"),
    **_everywhere("purelb_lbnodeagent_cut_off", "0x60"),
    **_everywhere("purelb_lbnodeagent_serving", "1x60"),
    **_everywhere("purelb_lbnodeagent_stray_arp_interfaces", "0x60"),
    **_everywhere("purelb_lbnodeagent_findings", "0x60", 'check="kernel-dummy"'),
    **_everywhere("purelb_gossip_refutations_total", "2x60"),
    **_everywhere("purelb_lbnodeagent_netlink_errors_total", "1x60", 'subject="address"'),
    **_everywhere("purelb_lbnodeagent_router_up", "1x60"),
    **_everywhere("purelb_lbnodeagent_router_sessions", "2x60"),
    **_everywhere("purelb_lbnodeagent_dataplane_lag_seconds_bucket", "0+120x60", 'le="0.2"'),
    **_everywhere("purelb_lbnodeagent_dataplane_lag_seconds_bucket", "0+120x60", 'le="+Inf"'),
    **_everywhere("purelb_lbnodeagent_takeover_seconds_bucket", "0 0 0 20x57", 'le="0.5",reason="died"'),
    **_everywhere("purelb_lbnodeagent_takeover_seconds_bucket", "0 0 0 20x57", 'le="2",reason="died"'),
    **_everywhere("purelb_lbnodeagent_takeover_seconds_bucket", "0 0 0 20x57", 'le="+Inf",reason="died"'),
    **_everywhere("purelb_k8s_client_config_loaded_bool", "1x60"),
    **_everywhere("purelb_k8s_client_update_errors_total", "5x60"),
    **_everywhere("purelb_k8s_client_silence_seconds", "20x60", 'kind="Services"'),
}
"""Things that happened once, long ago, are among them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is other than in a healthy cluster, mostly from a quarter of an hour on."""

    series: Mapping[str, str]
    gone: tuple[str, ...] = ()
    """Names of series that aren't there at all."""


FAULTS: Final[Mapping[str, Fault]] = {
    "PureLBServicesWaiting": Fault(_allocator("purelb_allocator_waiting_services", "0x15 3x44")),
    "PureLBPoolAlmostFull": Fault(
        _allocator("purelb_address_pool_addresses_in_use", "2x15 10x44", 'pool="default"'),
    ),
    "PureLBAddressConflict": Fault(_on("w2", "purelb_lbnodeagent_address_conflicts_total", "0x55 1x4")),
    "PureLBAddressTwice": Fault(
        _on("w3", "purelb_lbnodeagent_announced", "_x15 1x44", 'ip="10.0.0.1",service="default/web"')
    ),
    "PureLBAddressNowhere": Fault(_on("w1", "purelb_lbnodeagent_nowhere", "0x15 2x44")),
    "PureLBAddressRemoved": Fault(_on("w2", "purelb_lbnodeagent_address_restorations_total", "3x15 4+2x44")),
    "PureLBAddressRefused": Fault(
        _on("w2", "purelb_lbnodeagent_refusals_total", "1x55 2x4", 'rule="not-given"'),
    ),
    "PureLBTakeoverSlow": Fault(
        {
            **_on("w2", "purelb_lbnodeagent_takeover_seconds_bucket", "0x60", 'le="0.5",reason="died"'),
            **_on("w2", "purelb_lbnodeagent_takeover_seconds_bucket", "0x15 9x44", 'le="2",reason="died"'),
            **_on("w2", "purelb_lbnodeagent_takeover_seconds_bucket", "0x15 9x44", 'le="+Inf",reason="died"'),
        }
    ),
    "PureLBAgentsSeeDifferentNodes": Fault(_on("w2", "purelb_election_member_count", "3x15 1x44")),
    "PureLBAgentAlone": Fault(_everywhere("purelb_election_member_count", "3x15 1x44")),
    "PureLBAgentsUnheard": Fault(_on("w2", "purelb_lbnodeagent_unheard_peers", "0x15 2x44")),
    "PureLBAgentCutOff": Fault(_on("w2", "purelb_lbnodeagent_cut_off", "0x15 1x44")),
    "PureLBNodeNotServing": Fault(_on("w2", "purelb_lbnodeagent_serving", "1x15 0x44")),
    "PureLBStrayArp": Fault(_on("w2", "purelb_lbnodeagent_stray_arp_interfaces", "0x15 2x44")),
    "PureLBFinding": Fault(_on("w2", "purelb_lbnodeagent_findings", "0x15 1x44", 'check="kernel-dummy"')),
    "PureLBGossipUnsteady": Fault(_on("w2", "purelb_gossip_refutations_total", "2x15 3+1x44")),
    "PureLBKernelRefuses": Fault(
        _on("w2", "purelb_lbnodeagent_netlink_errors_total", "1x15 2+6x44", 'subject="address"'),
    ),
    "PureLBDataPlaneLate": Fault(
        {
            **_on("w2", "purelb_lbnodeagent_dataplane_lag_seconds_bucket", "0+60x60", 'le="0.2"'),
            **_on("w2", "purelb_lbnodeagent_dataplane_lag_seconds_bucket", "0+120x60", 'le="0.5"'),
            **_on("w2", "purelb_lbnodeagent_dataplane_lag_seconds_bucket", "0+120x60", 'le="+Inf"'),
        }
    ),
    "PureLBRouterSilent": Fault(_on("w2", "purelb_lbnodeagent_router_sessions", "2x15 0x44")),
    "PureLBNoAllocator": Fault({}, gone=("purelb_allocator_waiting_services",)),
    "PureLBNoLeader": Fault(_allocator("purelb_allocator_lease_unrenewed_seconds", "1x15 0+60x44")),
    "PureLBTargetDown": Fault(_on("w2", "up", "1x15 0x44")),
    "PureLBConfigurationRefused": Fault(_on("w2", "purelb_k8s_client_config_loaded_bool", "1x15 0x44")),
    "PureLBConfigurationWrong": Fault(
        _on("w2", "purelb_lbnodeagent_config_errors", "_x15 1x44", 'config="purelb/default",reason="interface"'),
    ),
    "PureLBForbidden": Fault(
        _allocator("purelb_k8s_client_forbidden", "_x15 1x44", 'request="patch services/status"'),
    ),
    "PureLBApiSilent": Fault(_on("w2", "purelb_k8s_client_silence_seconds", "20x15 0+60x44", 'kind="Services"')),
    "PureLBUpdatesFail": Fault(_on("w2", "purelb_k8s_client_update_errors_total", "5x15 5+30x44")),
    "PureLBMistakes": Fault(_allocator("purelb_allocator_mistakes_total", "0x40 1x19", 'part="review"')),
}
"""Alert: its fault."""


def promtool_test(rules: str) -> dict[str, Any]:
    """A file for `promtool test rules`: after an hour each fault fires its alert and none else, health fires none."""
    healthy = _case("healthy", HEALTHY, set())
    return {
        "rule_files": [rules],
        "evaluation_interval": "1m",
        "tests": [healthy, *(_case(alert, _with(fault), {alert}) for alert, fault in FAULTS.items())],
    }


def _with(fault: Fault) -> dict[str, str]:
    series = {**HEALTHY, **fault.series}
    return {name: values for name, values in series.items() if name.partition("{")[0] not in fault.gone}


def _case(name: str, series: Mapping[str, str], firing: Set[str]) -> dict[str, Any]:
    question = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": series_name, "values": values} for series_name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": question,
                "eval_time": "59m",
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)],
            }
        ],
    }
