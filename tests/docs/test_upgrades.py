"""docs/upgrade-from-v0.17.md leaves out nothing that v0.17 shows, and names a test for each of its rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from purelb.metrics import AgentMetrics, AllocatorMetrics

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "upgrade-from-v0.17.md").read_text(encoding="utf-8")
PLACES = ("tests", "memberlist/tests", "kubedouble/tests")

BOTH: Final = {
    "purelb_k8s_client_updates": ("counter", ()),
    "purelb_k8s_client_update_errors": ("counter", ()),
    "purelb_k8s_client_config_loaded_bool": ("gauge", ()),
}
ALLOCATOR: Final = BOTH | {
    "purelb_address_pool_size": ("gauge", ("pool",)),
    "purelb_address_pool_addresses_in_use": ("gauge", ("pool",)),
    "purelb_servicegroups_out_of_scope": ("gauge", ("namespace", "name", "type")),
    "purelb_address_pool_allocation_rejected": ("counter", ("pool", "reason")),
    "purelb_address_pool_multipool_allocations": ("counter", ("pool",)),
    "purelb_address_pool_multipool_partial": ("counter", ("pool",)),
    "purelb_address_pool_balance_pools_allocations": ("counter", ("pool",)),
    "purelb_allocator_sg_status_writes": ("counter", ("outcome",)),
    "purelb_allocator_sidecar_rpc": ("counter", ("socket", "method", "code")),
    "purelb_allocator_sidecar_rpc_duration_seconds": ("histogram", ("socket", "method")),
}
AGENT: Final = BOTH | {
    "purelb_lbnodeagent_announced": ("gauge", ("service", "node", "ip")),
    "purelb_election_lease_healthy": ("gauge", ()),
    "purelb_election_member_count": ("gauge", ()),
    "purelb_election_subnet_count": ("gauge", ()),
    "purelb_election_local_subnet_count": ("gauge", ()),
    "purelb_election_lease_renewals": ("counter", ()),
    "purelb_election_lease_renewal_failures": ("counter", ()),
    "purelb_election_winner_changes": ("counter", ("service",)),
    "purelb_election_affinity_fallback": ("counter", ("service",)),
    "purelb_lbnodeagent_selector_state": ("gauge", ("state",)),
    "purelb_lbnodeagent_garp_sent": ("counter", ()),
    "purelb_lbnodeagent_garp_errors": ("counter", ()),
    "purelb_lbnodeagent_na_sent": ("counter", ()),
    "purelb_lbnodeagent_na_errors": ("counter", ()),
    "purelb_lbnodeagent_address_additions": ("counter", ()),
    "purelb_lbnodeagent_address_withdrawals": ("counter", ()),
    "purelb_lbnodeagent_address_renewals": ("counter", ()),
    "purelb_lbnodeagent_address_renewal_errors": ("counter", ()),
    "purelb_lbnodeagent_election_wins": ("counter", ()),
    "purelb_lbnodeagent_election_losses": ("counter", ()),
    "purelb_lbnodeagent_announce_slot_steal": ("counter", ("from", "to")),
}


def shown(registry: CollectorRegistry) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The metrics of a program, with their types and labels."""
    collectors: set[Any] = {*registry._names_to_collectors.values()}
    return {
        metric.name: (metric.type, tuple(getattr(one, "_labelnames", ())))
        for one in collectors
        for metric in one.describe()
        if not metric.name.endswith("_created")
    }


def test_every_metric_of_v0_17_is_there_or_the_page_says_what_is_instead() -> None:
    for make, theirs in ((AllocatorMetrics, ALLOCATOR), (AgentMetrics, AGENT)):
        registry = CollectorRegistry()
        make(registry)
        ours = shown(registry)
        differs = {name for name, what in theirs.items() if ours.get(name) != what}

        untold = {name for name in differs if name.removeprefix("purelb_election") not in PAGE}
        assert untold == set(), {name: ours.get(name) for name in untold}


def test_every_row_of_what_is_understood_names_tests_that_are_there() -> None:
    start = PAGE.index("## What is understood")
    rows = [line for line in PAGE[start : PAGE.index("\n## ", start + 1)].splitlines() if line.startswith("| ")]
    files = [file for tests in PLACES for file in REPOSITORY.glob(f"{tests}/**/test_*.py")]
    there = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}

    assert len(rows) > 10
    assert [row for row in rows[2:] if not re.search(r"`test_\w+`", row)] == []
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= there
