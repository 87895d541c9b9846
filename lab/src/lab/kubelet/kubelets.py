"""The kubelets of all nodes: a worker for each pod that is bound to one, and the faults that befall them.

Owns which pods run where and their addresses; what happens to one pod is `pods`'. Must not decide how many
pods there are.
"""

from __future__ import annotations

import asyncio
import logging
import signal

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_daemon_pod
from lab.errors import LabError
from lab.kubelet.pods import PodWorker, is_own, is_router
from lab.kubelet.programs import Surroundings
from lab.machine.gates import open_gate
from lab.machine.processes import Child
from lab.wire.topology import Address, Host

log = logging.getLogger("lab.kubelet")

# First host number of a node's pods: gateway and broadcast addresses are nobody's, and .1 looks like a router.
_FIRST_POD, _LAST_POD = 40, 250


class Kubelet:
    """Runs the pods of every node; `run` works for ever."""

    def __init__(self, shared: Surroundings) -> None:
        self._shared = shared
        self._cluster: Cluster = shared.cluster
        nodes = shared.network.topology.nodes
        self._nodes = {node.name: node for node in nodes}
        self._reachable = {node.name: open_gate() for node in nodes}
        self._gates = {node.name: open_gate() for node in nodes}
        self._always = open_gate()
        self._workers: dict[str, PodWorker] = {}
        self._next_pod = dict.fromkeys(self._nodes, _FIRST_POD)
        self._news: asyncio.Queue[Object] = asyncio.Queue()
        self._cluster.on_change("pods", self._news.put_nowait)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._take(await self._news.get(), tasks)

    def _take(self, news: Object, tasks: asyncio.TaskGroup) -> None:
        uid = news["metadata"]["uid"]
        pod = self._cluster.caches["pods"].get(news["metadata"]["namespace"], news["metadata"]["name"])
        worker = self._workers.get(uid)
        if pod is None or pod["metadata"]["uid"] != uid:
            if worker is not None:
                worker.vanish()
            return
        node = self._nodes.get(pod["spec"].get("nodeName", ""))
        if node is None:
            return
        if worker is not None:
            worker.update(pod)
        elif (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            # A fault holds the agents of a node, not what else runs there.
            gate = self._gates[node.name] if _is_agent(pod) else self._always
            addresses = self._addresses(node)
            worker = PodWorker(pod, node, addresses, self._shared, self._reachable[node.name], gate)
            self._workers[uid] = worker
            tasks.create_task(self._work(uid, worker))

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        except Exception:
            # The guard at this task's edge: what goes wrong with one pod must not end a whole lab.
            log.exception("pod %s", worker.pod["metadata"]["name"])
        finally:
            del self._workers[uid]

    def _addresses(self, node: Host) -> tuple[Address, ...]:
        """The node's next free pod addresses, used in turn so that an old pod's isn't met again soon."""
        used = {worker.addresses[0] for worker in self._workers.values() if worker.node is node}
        while True:
            number = self._next_pod[node.name]
            self._next_pod[node.name] = number + 1 if number < _LAST_POD else _FIRST_POD
            addresses = node.pod_ips(number)
            if addresses[0] not in used:
                return addresses

    def container(self, uid: str, name: str) -> Child:
        """The program that this container of the pod runs now. Raises LabError in one sentence when there is none."""
        worker = self._workers.get(uid)
        if worker is None:
            raise LabError("the pod isn't on a node")
        if not self._reachable[worker.node.name].is_set():
            raise LabError(f"the kubelet of node {worker.node.name} does not answer")
        child = worker.child(name)
        if child is None:
            raise LabError(f"container {name} runs no program now, or is of an image that the lab only plays")
        return child

    async def renew_accounts(self) -> None:
        """Give every pod another token, and the API server's authority of the moment."""
        await asyncio.gather(*(worker.renew_account() for worker in self._workers.values()))

    # --- faults ---

    def set_reachable(self, node: str, reachable: bool) -> None:
        """Tell that the node's kubelet can or can't reach the API server."""
        if reachable:
            self._reachable[node].set()
        else:
            self._reachable[node].clear()

    def hold_agents(self, node: str, number: signal.Signals) -> int:
        """Signal the node's agents and don't start them again until `release_agents`; how many there were."""
        self._gates[node].clear()
        count = 0
        for worker in self._workers.values():
            if worker.node.name == node and _is_agent(worker.pod):
                for runner in worker.runners:
                    if runner.child is not None:
                        runner.child.signal(number)
                        count += 1
        return count

    def release_agents(self, node: str) -> None:
        self._gates[node].set()


def _is_agent(pod: Object) -> bool:
    return is_daemon_pod(pod) and is_own(pod) and not is_router(pod)
