"""Why a node can't serve the VIPs that it may have: what its agent tells the others of its data path. Values only."""

from __future__ import annotations

import enum


class Failure(enum.Enum):
    """The number goes over the wire, 1 to 63, and is given once only; what it means stands beside it."""

    UNKNOWN = 1, "its data path doesn't work"
    """Also what a later agent says that this one can't read."""
    UNSEEN = 9, "its agent has just started and hasn't looked yet"
    NOT_READY = 2, "its Node is not Ready"
    SILENT_KUBELET = 3, "its kubelet doesn't report"
    NO_NETWORK = 4, "its Node has no network yet (NetworkUnavailable)"
    OUT_OF_SERVICE = 5, "its Node is tainted as out of service"
    SHUTDOWN = 6, "it is being shut down"
    KUBE_PROXY = 7, "its kube-proxy doesn't answer"
    PROBE = 8, "the Service address that it tries doesn't answer from there"

    def __init__(self, number: int, clause: str) -> None:
        self.number = number
        self.clause = clause
        """Why it doesn't serve, about the node as "it"."""


_BY_NUMBER = {failure.number: failure for failure in Failure}


def failure_of(number: int) -> Failure:
    """What another agent means by a number."""
    return _BY_NUMBER.get(number, Failure.UNKNOWN)
