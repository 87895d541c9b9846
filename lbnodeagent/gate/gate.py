"""Whether this node's data path works, by its Node object and by what was looked at. Pure; ``now``: monotonic seconds.

- A Node that isn't ready, has no network or is tainted as such: at once. While the API server is away, as last heard.
- kube-proxy's port, or the probe, that answers "no" or nothing: after three looks in a row. A lost answer is nothing.
- kube-proxy's port where nothing listens: only while another node's kube-proxy works, as its agent says in the gossip.
  Where none does, there is no kube-proxy, and the CNI does its work; else it is late, after a reboot, and its rules are
  not there yet. Where it answered since this agent started, it is perhaps being upgraded: its rules stay meanwhile, and
  so do the VIPs for ten seconds.

A node that has failed serves again when all was well for a moment, which doubles with each failure that follows soon.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.gate.failures import Failure
from lbnodeagent.gate.looks import Look, Looked

LOOKS: Final = 3
"""In a row that find something wrong until it counts."""
UPGRADE: Final = 10.0
"""Seconds for which a kube-proxy may be away that was there."""
HOLD: Final = 3.0
"""Seconds for which all must be well until a node serves again."""
LONGEST_HOLD: Final = 60.0
FLAPPING: Final = 600.0
"""Seconds after which a failure is the first one again."""


class Gate:
    """Of this node. Without ``begin`` nothing is looked at, and its Node object alone counts."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        """Why this node doesn't serve; as of the last ``judge``."""
        self._awaits_look = False
        self._node: Failure | None = None
        self._looked = Looked()
        self._bad_proxies = self._bad_probes = 0
        self._has_answered = False
        """kube-proxy, since this agent started."""
        self._absent_since: float | None = None
        self._well_since: float | None = None
        """While the node is held though all is well."""
        self._served_since = 0.0
        self._hold = HOLD
        self._deadline: float | None = None

    @property
    def deadline(self) -> float | None:
        """When ``judge`` may say something else just because time passed."""
        return self._deadline

    def begin(self) -> None:
        """There will be looks: before the first one nothing is known."""
        self._awaits_look = True

    def node_is(self, failure: Failure | None) -> None:
        """What the Node object says against this node."""
        self._node = failure

    def looked(self, looked: Looked, now: float) -> None:
        """A look was taken."""
        self._awaits_look = False
        self._looked = looked
        self._bad_proxies = self._bad_proxies + 1 if looked.proxy in (Look.SAYS_NO, Look.SILENT) else 0
        self._bad_probes = self._bad_probes + 1 if looked.probe not in (None, Look.ANSWERS) else 0
        if looked.proxy is Look.ANSWERS:
            self._has_answered = True
        if looked.proxy is not Look.REFUSED:
            self._absent_since = None
        elif self._absent_since is None:
            self._absent_since = now

    def is_proxied(self, now: float) -> bool:
        """Whether this node has a kube-proxy that works: the others' must be there too, then."""
        return self._has_answered and self._bad_proxies < LOOKS and not self._is_absent(now)

    def judge(self, now: float, *, are_others_proxied: bool) -> Failure | None:
        """Why this node doesn't serve now. ``are_others_proxied``: another node has a kube-proxy that works."""
        found = self._find(now, are_others_proxied=are_others_proxied)
        if self._awaits_look or found is not None:
            if self.failure in (None, Failure.UNSEEN) and found is not None:
                self._begin_to_fail(now)
            self._well_since = None
            self.failure = found or Failure.UNSEEN
        elif self._bad_proxies or self._bad_probes:
            self._well_since = None  # who serves may miss an answer, who is to serve again may not
        elif self.failure is not None:
            self._pass_time(now)
        self._deadline = self._next_deadline(now)
        return self.failure

    def _find(self, now: float, *, are_others_proxied: bool) -> Failure | None:
        if self._node is not None:
            return self._node
        # One that says "no" and has never said otherwise hasn't loaded its rules yet.
        is_late = self._looked.proxy is Look.SAYS_NO and not self._has_answered
        if is_late or self._bad_proxies >= LOOKS or (are_others_proxied and self._is_absent(now)):
            return Failure.KUBE_PROXY
        return Failure.PROBE if self._bad_probes >= LOOKS else None

    def _is_absent(self, now: float) -> bool:
        """Whether nothing listens there, and that can't be an upgrade."""
        if self._absent_since is None:
            return False
        return not self._has_answered or now >= self._absent_since + UPGRADE

    def _begin_to_fail(self, now: float) -> None:
        is_soon = self._served_since > 0.0 and now - self._served_since < FLAPPING
        self._hold = min(self._hold * 2, LONGEST_HOLD) if is_soon else HOLD

    def _pass_time(self, now: float) -> None:
        """All is well: how long for?"""
        if self._well_since is None:
            self._well_since = now
        if self.failure is Failure.UNSEEN:
            self.failure, self._well_since = None, None
        elif now >= self._well_since + self._hold:
            self.failure, self._well_since, self._served_since = None, None, now

    def _next_deadline(self, now: float) -> float | None:
        if self._well_since is not None:
            return self._well_since + self._hold
        if self._absent_since is not None and not self._is_absent(now):
            return self._absent_since + UPGRADE
        return None
