"""Metrics that are read where they are known when somebody asks for the page, and cost nothing else.

What they say is asked for on the page's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from purelb.light_prometheus import Collector, CounterMetricFamily, GaugeMetricFamily, Metric


class GossipCollector(Collector):
    """What the gossip counts itself."""

    def __init__(self) -> None:
        self.counters: Callable[[], Mapping[str, int]] = dict
        """By memberlist's names."""

    def collect(self) -> Iterator[Metric]:
        counted = self.counters()
        traffic = CounterMetricFamily(
            "purelb_gossip_bytes", "Bytes of the gossip, without headers.", labels=["direction", "transport"]
        )
        for direction in ("received", "sent"):
            traffic.add_metric([direction, "udp"], counted.get(f"bytes {direction}", 0))
            traffic.add_metric([direction, "tcp"], counted.get(f"stream bytes {direction}", 0))
        yield traffic
        packets = CounterMetricFamily("purelb_gossip_packets", "UDP packets of the gossip.", labels=["direction"])
        for direction in ("received", "sent"):
            packets.add_metric([direction], counted.get(f"packets {direction}", 0))
        yield packets
        for name, kind, text in (
            ("purelb_gossip_suspicions", "suspicions", "Peers that this node came to suspect of being dead."),
            ("purelb_gossip_suspicions_refuted", "suspicions refuted", "Those of them that said that they live."),
            ("purelb_gossip_refutations", "refutations", "Suspicions against this node that it refuted."),
        ):
            yield CounterMetricFamily(name, text, value=counted.get(kind, 0))


class RoutedCollector(Collector):
    """Which of the addresses that a node announces are for routers: all of their nodes announce them at once."""

    def __init__(self) -> None:
        self.vips: Callable[[], Iterable[object]] = tuple

    def collect(self) -> Iterator[Metric]:
        text = "1 per address that this node announces to routers, by the dummy interface."
        routed = GaugeMetricFamily("purelb_lbnodeagent_routed", text, labels=["ip"])
        for vip in self.vips():
            routed.add_metric([str(vip)], 1)
        yield routed
