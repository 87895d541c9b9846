"""What is known of one Service, and how a step of its way came out. Values."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kubectl_purelb.cluster import Cluster, Group
from kubectl_purelb.happenings import Backends, Event
from purelb import names
from purelb.services import ServiceView

NAMED: Final = 4
"""Nodes that a sentence names."""


class Mark(enum.Enum):
    """How a step came out."""

    DONE = "done"
    DOUBTFUL = "doubtful"
    """It works, or may, and there is something to know."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One of them."""

    name: str
    mark: Mark
    told: str
    """A clause."""
    remedy: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one Service."""

    service: ServiceView
    cluster: Cluster
    events: Sequence[Event]
    backends: Backends
    now: datetime.datetime
    """The time of day."""

    def command(self, verb: str, more: str) -> str:
        """A kubectl command about this Service."""
        return f"kubectl {verb} service {self.service.key.name} -n {self.service.key.namespace} {more}"

    def annotate(self, said: str) -> str:
        """The command that sets an annotation; kubectl changes one that is there only if it is told so."""
        return self.command("annotate", f"--overwrite {said}")

    def anew(self) -> str:
        """The command that has the allocator give it other addresses."""
        return self.annotate(f"{names.RE_EVALUATE}=true")


def edit(group: Group) -> str:
    """The command that opens a ServiceGroup in an editor."""
    return f"kubectl edit servicegroup {group.name} -n {group.namespace}"
