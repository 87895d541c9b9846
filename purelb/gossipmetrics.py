"""The metrics of what the gossip counts itself. What it counts is memberlist's; the page asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class GossipCollector(Collector):
    """What the gossip counts itself, read when somebody asks for it: it costs nothing else."""

    def __init__(self) -> None:
        self.counters: Callable[[], Mapping[str, int]] = dict
        """By memberlist's names; called on the page's thread."""

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
