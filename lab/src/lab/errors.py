"""What can go wrong with a lab, as a tree.

LabError                 the sentence is for the operator; the command ends with exit code 1
├── NoLab                no lab runs in this directory
├── LabRunning           a lab already runs in this directory
├── NotAllowed           the kernel refuses namespaces to this user
├── UnknownHost          no such node, client or router
├── BadTopology          the file describes no lab
├── FaultRefused         this fault makes no sense there, or a tool for it is missing
├── NftFailed            nft is missing, or refuses rules
└── StartFailed          something the lab starts did not become ready
"""

from __future__ import annotations


class LabError(Exception):
    """Any failure that one sentence to the operator explains."""


class NoLab(LabError):
    """No lab runs in this directory."""


class LabRunning(LabError):
    """A lab already runs in this directory."""


class NotAllowed(LabError):
    """The kernel refuses namespaces to this user."""


class UnknownHost(LabError):
    """No node, client or router of that name."""


class BadTopology(LabError):
    """The topology file describes no lab; the sentence says what is wrong with it."""


class FaultRefused(LabError):
    """The fault makes no sense on that host, or needs a tool that is missing."""


class NftFailed(LabError):
    """nft is missing, or refuses rules."""


class StartFailed(LabError):
    """Something that the lab starts did not become ready in time."""
