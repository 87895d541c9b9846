"""A machine of the cluster: its kernel, what of it outlives an agent, and the agent that runs there."""

from __future__ import annotations

from dataclasses import dataclass

from lbnodeagent.tables import IfIndex, Mac
from purelb.addresses import IPAddress
from tests.lbnodeagent.stage.agent import Agent
from tests.lbnodeagent.stage.kernel import FakeKernel
from tests.lbnodeagent.stage.netlink import Seam


@dataclass(slots=True)
class Node:
    """With or without power and an agent."""

    name: str
    kernel: FakeKernel
    seam: Seam
    agent: Agent | None = None
    is_powered: bool = True
    is_stopping: bool = False
    kernel_tick_at: float = float("inf")

    @property
    def is_told(self) -> bool:
        """Whether its agent knows what is wanted."""
        return self.is_powered and self.agent is not None and self.agent.control.is_synced

    def claimed(self, index: IfIndex, vip: IPAddress, mac: Mac) -> None:
        """A host says on a NIC that it has an address."""
        if self.agent is not None:
            self.agent.claim(index, vip, mac)

    def holds(self, vip: IPAddress) -> bool:
        """Whether it answers for an address, or routes it."""
        return self.is_powered and (self.kernel.has(vip) or self.kernel.has_routed(vip))
