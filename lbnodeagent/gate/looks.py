"""What a look at the node's data path can find: values only."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Look(enum.Enum):
    """At something that should answer."""

    ANSWERS = "answers"
    SAYS_NO = "answers that it isn't well"
    SILENT = "doesn't answer in time"
    REFUSED = "isn't there: nothing listens"


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at all that is looked at."""

    proxy: Look | None = None
    """kube-proxy's health port; None: it isn't to be looked at."""
    probe: Look | None = None
    """The Service address that should answer from here; likewise."""

    @property
    def is_well(self) -> bool:
        """Whether all that is looked at answers."""
        return all(one in (None, Look.ANSWERS) for one in (self.proxy, self.probe))
