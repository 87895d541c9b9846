"""What the page counts of those who look at it; there only where there is a page."""

from __future__ import annotations

from typing import Final

from purelb.light_prometheus import CollectorRegistry, Counter, Gauge

ENDS: Final = ("left", "aged", "slow", "refused")
"""How the look of a browser ends: it left, was told to come again, didn't keep up, or there were too many before it."""


class PageMetrics:
    """Names as users see them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.clients = Gauge(
            "purelb_allocator_page_clients", "Browsers that look at the status page.", registry=registry
        )
        self.ended = Counter(
            "purelb_allocator_page_clients_ended_total",
            "Browsers that looked at the status page, by how that ended.",
            ["reason"],
            registry=registry,
        )
        for reason in ENDS:
            self.ended.labels(reason)  # shown as 0 from the beginning
        self.messages = Counter(
            "purelb_allocator_page_messages_total", "Changes that the status page has told.", registry=registry
        )
        self.failures = Counter(
            "purelb_allocator_page_failures_total",
            "Mistakes of the status page's own, after which it begins anew.",
            registry=registry,
        )
