"""What the router's kernel says of its routes, as it says it; and a resilient next-hop group that follows it.

Owns `ip monitor` in the router's network. FRR decides which nodes are next hops; this only looks, and copies.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.wire import Namespaces

_VIA: Final = re.compile(r"via (\S+)")
_TABLE, _PREFERENCE, _GROUP, _FIRST_HOP = "100", "100", "9000", 9001


class RouteWatch:
    """The BGP routes of the router, by prefix, each with its next hops and since when; a thread keeps them."""

    def __init__(self, spaces: Namespaces) -> None:
        self._process = spaces.start("router", "ip", "-o", "monitor", "route")
        self._changed = threading.Condition()
        self._hops: dict[str, tuple[float, frozenset[str]]] = {}
        self._listeners: list[Callable[[str, frozenset[str]], None]] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        time.sleep(0.3)  # until it listens

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at = time.monotonic()
            is_gone = line.startswith("Deleted ")
            words = line.removeprefix("Deleted ").split()
            if "bgp" not in words:
                continue
            hops = frozenset() if is_gone else frozenset(_VIA.findall(line))
            with self._changed:
                self._hops[words[0]] = at, hops
                for listener in self._listeners:
                    listener(words[0], hops)
                self._changed.notify_all()

    def on_change(self, listener: Callable[[str, frozenset[str]], None]) -> None:
        """Call with each change, from this object's thread."""
        self._listeners.append(listener)

    def wait(self, prefixes: Sequence[str], hops: int, seconds: float) -> float:
        """When the last of these prefixes got that many next hops, CLOCK_MONOTONIC. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                known = [self._hops.get(prefix, (0.0, frozenset[str]())) for prefix in prefixes]
                missing = sum(len(one) != hops for _, one in known)
                if not missing:
                    return max(at for at, _ in known)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{missing} of {len(prefixes)} routes don't have {hops} next hops")
                self._changed.wait(left)

    def end(self) -> None:
        """Stop looking."""
        self._process.terminate()
        self._process.wait()
        self._thread.join(5)


class ResilientGroup:
    """A resilient next-hop group (Linux 5.13) in place of FRR's own, with whichever nodes FRR routes a VIP over.

    FRR 8.4 makes plain groups of BGP's paths; a router with resilient hashing keeps a flow at its node while that node
    lives. 128 buckets; those of a node that left are given to the others at once, nobody else's move.
    """

    def __init__(self, spaces: Namespaces, watch: RouteWatch, vip: str, nodes: Sequence[str]) -> None:
        self._spaces = spaces
        self._vip = vip
        self._ids = {address: str(_FIRST_HOP + number) for number, address in enumerate(sorted(nodes))}
        for address, number in self._ids.items():
            self._ip("nexthop", "add", "id", number, "via", address, "dev", "eth0")
        self._set("add", nodes)
        self._ip("route", "add", vip, "nhid", _GROUP, "table", _TABLE)
        self._ip("rule", "add", "pref", _PREFERENCE, "lookup", _TABLE)
        self._is_on = True
        watch.on_change(self._follow)

    def _follow(self, prefix: str, hops: frozenset[str]) -> None:
        if self._is_on and prefix == self._vip and hops:
            self._set("replace", sorted(hops))

    def _set(self, verb: str, nodes: Sequence[str]) -> None:
        group = "/".join(self._ids[address] for address in nodes)
        timers = ["idle_timer", "3600", "unbalanced_timer", "0"]
        self._ip("nexthop", verb, "id", _GROUP, "group", group, "type", "resilient", "buckets", "128", *timers)

    def _ip(self, *arguments: str) -> None:
        self._spaces.run("router", "ip", *arguments)

    def remove(self) -> None:
        """Leave FRR's own groups alone again."""
        self._is_on = False
        self._ip("rule", "del", "pref", _PREFERENCE)
        self._ip("nexthop", "del", "id", _GROUP)
        for number in self._ids.values():
            self._ip("nexthop", "del", "id", number)
