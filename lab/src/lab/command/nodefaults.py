"""What can befall a node: `purelb-lab fault NODE KIND [PEER]`.

Owns the table of these faults, how each begins and ends, and which last. To add one: a name in `settings.FAULTS`, a row
in the table here, one in docs/lab.md, and a test that sees the fault itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from lab.command.kubectl import run_kubectl
from lab.controllers.nodes import Nodes
from lab.errors import FaultRefused, LabError
from lab.kubelet.kubelets import Kubelet
from lab.kubeproxy.proxies import Proxies
from lab.settings import FAULTS
from lab.wire.network import Network
from lab.wire.partitions import Blocks, Closure
from lab.wire.topology import Host

log = logging.getLogger("lab.faults")

FLAP: Final = 1.0
"""Seconds for which the link of a `flap` is down, and then up."""
NO_CLOCK: Final = (
    "there is one wall clock for all nodes, and namespaces move the monotonic one only for programs that start in them "
    "(time_namespaces(7)): step the clock of a machine of its own, such as user-mode-linux (`make kernels`)"
)


@dataclass(frozen=True, slots=True)
class NodeFault:
    """One row of the table. `end` must be harmless for a node that hasn't this fault."""

    begin: Callable[[Host, Host | None], Awaitable[str]]
    """On a node, towards a peer or everybody; what happens, in words. Raises LabError."""
    end: Callable[[Host], Awaitable[object]]
    takes_peer: bool = False


class NodeFaults:
    """All that befalls the nodes of one lab."""

    def __init__(self, network: Network, kubelet: Kubelet, nodes: Nodes, proxies: Proxies, folder: Path) -> None:
        self._network = network
        self._kubelet = kubelet
        self._nodes = nodes
        self._proxies = proxies
        self._folder = folder
        self._blocking = asyncio.Lock()
        self._flapping: dict[str, asyncio.Task[None]] = {}
        self._active: dict[str, list[str]] = {node.name: [] for node in network.topology.nodes}
        self._kinds: Mapping[str, NodeFault] = {
            "power": NodeFault(self._cut, self._plug),
            "flap": NodeFault(self._flap, self._end_flap),
            "port-dead": NodeFault(self._deaden, self._revive),
            "partition": NodeFault(self._partition, self._rejoin),
            "deaf": NodeFault(self._deafen, self._open_inward, takes_peer=True),
            "mute": NodeFault(self._mute, self._open_outward, takes_peer=True),
            "agent-kill": NodeFault(self._kill_agent, self._release_agents),
            "agent-stop": NodeFault(self._stop_agent, self._release_agents),
            "cordon": NodeFault(self._cordon, self._uncordon),
            "drain": NodeFault(self._drain, self._uncordon),
            "proxy-late": NodeFault(partial(self._fail_proxy, "proxy-late"), self._heal_proxy),
            "proxy-frozen": NodeFault(partial(self._fail_proxy, "proxy-frozen"), self._heal_proxy),
            "proxy-dead": NodeFault(partial(self._fail_proxy, "proxy-dead"), self._heal_proxy),
        }

    async def begin(self, node: Host, kind: str, peer: Host | None) -> str:
        """Break a node; a sentence about it. What can't begin leaves nothing behind. Raises LabError."""
        if kind == "clock":
            raise FaultRefused(f"clock: {NO_CLOCK}")
        fault = self._kinds.get(kind)
        if fault is None:
            raise FaultRefused(f"no fault {kind!r} of a node; there are: {', '.join(FAULTS)}")
        if peer is not None and not fault.takes_peer:
            raise FaultRefused(f"{kind} befalls a node alone: it takes no other")
        try:
            done = await fault.begin(node, peer)
        except LabError:
            if not any(self._kinds[one].end == fault.end for one in self._active[node.name]):
                with contextlib.suppress(LabError):
                    await fault.end(node)
            raise
        if kind not in self._active[node.name]:
            self._active[node.name].append(kind)
        return f"{node.name}: {done}"

    async def end(self, node: Host, kind: str | None = None) -> str:
        """Mend all of a node, or one kind; a sentence about it. Raises LabError."""
        healed = [one for one in self._active[node.name] if kind in (None, one)]
        for one in healed:
            await self._kinds[one].end(node)
            self._active[node.name].remove(one)
        return f"{node.name}: {', '.join(healed) + ' healed' if healed else 'nothing to heal'}"

    def active(self, node: Host) -> list[str]:
        """What the node suffers from, that it has no working kube-proxy included."""
        found, proxy = self._active[node.name], self._proxies.fault(node.name)
        return [*found, proxy] if proxy is not None and proxy not in found else list(found)

    # --- cables and ports ---

    async def _cut(self, node: Host, _: Host | None) -> str:
        await asyncio.to_thread(self._network.cut, node)
        self._set_reachable(node, False)
        return "the cable is out"

    async def _plug(self, node: Host) -> None:
        await asyncio.to_thread(self._network.plug, node)
        self._set_reachable(node, True)

    async def _flap(self, node: Host, _: Host | None) -> str:
        if node.name not in self._flapping:
            self._flapping[node.name] = asyncio.create_task(self._keep_flapping(node))
        return f"the cable goes out for {FLAP:g} s and in for {FLAP:g} s, again and again"

    async def _keep_flapping(self, node: Host) -> None:
        try:
            while True:
                await self._cut(node, None)
                await asyncio.sleep(FLAP)
                await self._plug(node)
                await asyncio.sleep(FLAP)
        except Exception:  # nobody waits for this task: its end must be seen
            log.exception("flap of %s", node.name)

    async def _end_flap(self, node: Host) -> None:
        task = self._flapping.pop(node.name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if "power" in self._active[node.name]:
            await self._cut(node, None)
        else:
            await self._plug(node)

    async def _deaden(self, node: Host, _: Host | None) -> str:
        await self._block(lambda blocks: replace(blocks, dead=blocks.dead | {node.name}))
        self._set_reachable(node, False)
        return "the switch passes no frame of it; the carrier stays"

    async def _revive(self, node: Host) -> None:
        await self._block(lambda blocks: replace(blocks, dead=blocks.dead - {node.name}))
        self._set_reachable(node, True)

    def _set_reachable(self, node: Host, reachable: bool) -> None:
        self._kubelet.set_reachable(node.name, reachable)
        self._nodes.set_reachable(node.name, reachable)
        self._proxies.set_reachable(node.name, reachable)

    # --- between nodes ---

    async def _partition(self, node: Host, _: Host | None) -> str:
        await self._block(lambda blocks: replace(blocks, partitioned=blocks.partitioned | {node.name}))
        return "no frame passes between it and the other nodes"

    async def _rejoin(self, node: Host) -> None:
        await self._block(lambda blocks: replace(blocks, partitioned=blocks.partitioned - {node.name}))

    async def _deafen(self, node: Host, peer: Host | None) -> str:
        await self._close(node, peer, is_inward=True)
        return f"no gossip of {peer.name if peer else 'anybody'} reaches it"

    async def _mute(self, node: Host, peer: Host | None) -> str:
        await self._close(node, peer, is_inward=False)
        return f"its gossip reaches {f'{peer.name} no more' if peer else 'nobody'}"

    async def _close(self, node: Host, peer: Host | None, *, is_inward: bool) -> None:
        if peer is node:
            raise FaultRefused(f"{node.name} doesn't gossip with itself")
        closure = Closure(node.name, is_inward, peer.name if peer else None)
        await self._block(lambda blocks: replace(blocks, closed=blocks.closed | {closure}))

    async def _open_inward(self, node: Host) -> None:
        await self._open(node, is_inward=True)

    async def _open_outward(self, node: Host) -> None:
        await self._open(node, is_inward=False)

    async def _open(self, node: Host, *, is_inward: bool) -> None:
        def opened(blocks: Blocks) -> Blocks:
            theirs = {one for one in blocks.closed if (one.node, one.is_inward) == (node.name, is_inward)}
            return replace(blocks, closed=blocks.closed - theirs)

        await self._block(opened)

    async def _block(self, change: Callable[[Blocks], Blocks]) -> None:
        async with self._blocking:
            await asyncio.to_thread(self._network.block, change(self._network.blocks))

    # --- agents, and what Kubernetes knows of the node ---

    async def _kill_agent(self, node: Host, _: Host | None) -> str:
        return self._hold_agents(node, signal.SIGKILL)

    async def _stop_agent(self, node: Host, _: Host | None) -> str:
        return self._hold_agents(node, signal.SIGTERM)

    def _hold_agents(self, node: Host, number: signal.Signals) -> str:
        count = self._kubelet.hold_agents(node.name, number)
        if not count:
            raise FaultRefused(f"no agent runs on {node.name}")
        return f"{number.name} to {count} program(s), held until `heal`"

    async def _release_agents(self, node: Host) -> None:
        self._kubelet.release_agents(node.name)

    async def _cordon(self, node: Host, _: Host | None) -> str:
        await self._kubectl("cordon", node.name)
        return "cordoned"

    async def _drain(self, node: Host, _: Host | None) -> str:
        await self._kubectl(
            "drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"
        )
        return "cordoned and drained"

    async def _uncordon(self, node: Host) -> None:
        await self._kubectl("uncordon", node.name)

    async def _kubectl(self, *arguments: str) -> None:
        done = await asyncio.to_thread(run_kubectl, self._folder, arguments)
        if done.returncode != 0:
            raise FaultRefused(f"kubectl {arguments[0]}: {done.stderr.strip()}")

    # --- kube-proxy ---

    async def _fail_proxy(self, kind: str, node: Host, _: Host | None) -> str:
        return self._proxies.fail(node.name, kind)

    async def _heal_proxy(self, node: Host) -> None:
        self._proxies.heal(node.name)
