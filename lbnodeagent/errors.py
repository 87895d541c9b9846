"""What can go wrong in the agent, and whose fault it is.

AgentError
├── FrameError          bytes that are no ARP or NDP frame we know: dropped and counted, never fatal
├── MetaError           gossip meta or a message of a peer that we can't read: likewise
├── LedgerError         a ledger of our addresses that can't be read: a warning, and it's begun anew
├── LedgerHeld          another agent has it: this one can't run here
└── KernelError         the kernel refused a change; carries its errno; tried again by the next pass
    └── AddressTaken    the address is there already and isn't ours
"""

from __future__ import annotations

import errno
import os


class AgentError(Exception):
    """Root of the agent's errors."""


class FrameError(AgentError, ValueError):
    """Bytes that are no frame of the expected kind."""


class MetaError(AgentError, ValueError):
    """A peer's meta or message that this agent can't read."""


class LedgerError(AgentError, ValueError):
    """A ledger of our addresses that can't be read; says why."""


class LedgerHeld(AgentError):
    """Another agent of this node has the ledger."""


class KernelError(AgentError):
    """The kernel refused; ``code`` is the errno."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")
        self.code = code


class AddressTaken(KernelError):
    """The address is on the interface already, put there by somebody else."""
