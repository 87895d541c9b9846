"""Names of the metrics of connections that outlive a move of their address; there only if that is on."""

from __future__ import annotations

from typing import Final

from purelb.light_prometheus import CollectorRegistry, Gauge, Histogram

BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
"""Seconds: requests end within the first ones, streams and pools of connections last for hours."""


class FlowMetrics:
    """Of one node's agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._supported = Gauge(
            "purelb_lbnodeagent_flows_supported",
            "1 if connections outlive planned moves of addresses, 0 if the kernel lacks what that takes.",
            registry=registry,
        )
        self._served = Gauge(
            "purelb_lbnodeagent_flows_served",
            "Connections that this node goes on serving though another one has their address now.",
            registry=registry,
        )
        self._passed_on = Gauge(
            "purelb_lbnodeagent_flows_passed_on",
            "Connections to addresses of this node that it passes on to those who had the address before.",
            registry=registry,
        )
        self._refused = Gauge(
            "purelb_lbnodeagent_flows_refused",
            "Connections since the start that this node was told of and didn't pass on: too many, or not believed.",
            registry=registry,
        )
        self._packets = Gauge(
            "purelb_lbnodeagent_flows_packets",
            "Packets of connections that outlive a move: passed on, or dropped until it was known where they belong.",
            ["what"],
            registry=registry,
        )

        self._strays = Gauge(
            "purelb_lbnodeagent_flows_astray",
            "Connections to routed addresses that a router sent to this node instead of another, since the start: asked"
            " for, and located.",
            ["what"],
            registry=registry,
        )
        self._kept = Gauge(
            "purelb_lbnodeagent_flows_kept",
            "Connections since the start that outlived a move of their address to this node, which passed them on.",
            registry=registry,
        )
        self._lost = Gauge(
            "purelb_lbnodeagent_flows_lost",
            "Connections since the start that this node passed on until the node that served them was gone.",
            registry=registry,
        )
        self._last_ended = Histogram(
            "purelb_lbnodeagent_flows_last_ended_seconds",
            "From the move of an address to this node until the last of the connections that outlived it had ended.",
            buckets=BUCKETS,
            registry=registry,
        )

    def show_supported(self, is_supported: bool) -> None:
        """Whether the kernel has what it takes."""
        self._supported.set(is_supported)

    def show_flows(self, served: int, passed_on: int, refused: int, kept: int, lost: int) -> None:
        """How many there are on this node, and were."""
        self._served.set(served)
        self._passed_on.set(passed_on)
        self._refused.set(refused)
        self._kept.set(kept)
        self._lost.set(lost)

    def show_end(self, seconds: float) -> None:
        """The last flow of a move ended so long after it."""
        self._last_ended.observe(seconds)

    def show_strays(self, asked: int, located: int) -> None:
        """How many a router threw about."""
        self._strays.labels("asked for").set(asked)
        self._strays.labels("located").set(located)

    def show_packets(self, passed_on: int, dropped: int) -> None:
        """How many of them there were."""
        self._packets.labels("passed on").set(passed_on)
        self._packets.labels("dropped").set(dropped)
