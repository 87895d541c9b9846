"""What the page asks for when it is asked."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from purelb.metrics import AgentMetrics


def test_the_gossip_s_own_counters_are_read_when_the_page_is() -> None:
    registry = CollectorRegistry()
    metrics = AgentMetrics(registry)
    bytes_sent = {"direction": "sent", "transport": "udp"}
    assert registry.get_sample_value("purelb_gossip_bytes_total", bytes_sent) == 0

    metrics.gossip.counters = lambda: {"bytes sent": 700, "suspicions": 3, "suspicions refuted": 2, "refutations": 1}

    assert registry.get_sample_value("purelb_gossip_bytes_total", bytes_sent) == 700
    assert registry.get_sample_value("purelb_gossip_suspicions_total") == 3
    assert registry.get_sample_value("purelb_gossip_suspicions_refuted_total") == 2
    assert registry.get_sample_value("purelb_gossip_refutations_total") == 1


def test_addresses_for_routers_are_told_apart() -> None:
    registry = CollectorRegistry()
    metrics = AgentMetrics(registry)

    metrics.routed.vips = lambda: ["10.189.0.0"]

    assert registry.get_sample_value("purelb_lbnodeagent_routed", {"ip": "10.189.0.0"}) == 1
