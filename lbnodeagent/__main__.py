"""``purelb-lbnodeagent``: wires the agent's halves together and gives each its loop and thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import purelb
from lbnodeagent.bird.watch import BirdWatch
from lbnodeagent.dataplane.core import Core
from lbnodeagent.dataplane.driver import DataPlane
from lbnodeagent.errors import KernelError, LedgerHeld
from lbnodeagent.gate.watch import GateWatch
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.holdings import keeps_marks
from lbnodeagent.kernel.ledger import Ledger, this_life
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.kubernetes.thread import ControlThread
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Told, ToldKey
from lbnodeagent.returnpath.keeper import ReturnKeeper
from lbnodeagent.returnpath.kernel import ReturnKernel
from lbnodeagent.tables import Report, ReportKey
from lbnodeagent.wire.rawsocket import FrameListener, FrameSender
from memberlist import Config
from purelb import logs, memory, names
from purelb.errors import SettingsError
from purelb.light_prometheus import CollectorRegistry
from purelb.metrics import AgentMetrics, RouterMetrics, new_registry
from purelb.page import Page, keep_serving
from purelb.reviews import reviewing
from purelb.securepage import Certificate, SecurePage
from purelb.settings import AgentSettings, HostPort
from purelb.statedump import Table
from purelb.statesignal import StateDump, ignore_signal
from purelb.version import parse_version

if TYPE_CHECKING:
    from lbnodeagent.flows.keeper import FlowKeeper

log = logging.getLogger(__name__)

PROFILES: Final = {"fast": Config.fast(), "steady": Config.steady(), "lan": Config.lan()}
"""By PURELB_GOSSIP_PROFILE."""
HAND_OVER: Final = 4.0
"""Seconds that a stop may take to give the VIPs away (terminationGracePeriodSeconds must be longer)."""
ASK: Final = 3.0
"""Seconds for asking the API server whether another agent follows; the addresses are served meanwhile."""
TOLD: Final = 0.2
"""Seconds until all peers have heard that this agent comes back: ten turns of the gossip."""
LEAVE: Final = 0.5
"""Seconds for telling the peers that this node goes."""
SWITCH_INTERVAL: Final = 0.001
"""Seconds after which a busy thread must let the other run: the data plane waits no longer for a burst of events."""


async def run(settings: AgentSettings, recollection: logs.Recollection) -> int:
    """The agent's life on this, the data plane's, loop; the exit code. Raises KernelError, LedgerHeld and OSError.

    ``recollection``: what it logged lately, which with all tables is written to the log on SIGUSR1.
    """
    registry = new_registry()
    metrics = AgentMetrics(registry)
    inbox: Mailbox[ToldKey, Told] = Mailbox()
    outbox: Mailbox[ReportKey, Report] = Mailbox()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = PROFILES[settings.gossip_profile]
    round_trip = metrics.round_trips.observe
    peers = Peers(settings.node_name, settings.common.host, settings.gossip_port, config, round_trip)
    metrics.gossip.counters = lambda: peers.counters
    control = ControlThread(lambda: ControlPlane(settings, inbox, outbox, metrics, detours=lambda: peers.by_detour))

    def trouble() -> str | None:
        if not peers.is_running:
            return control.unready() or "the gossip has not started"
        return control.unready() or peers.trouble

    with (
        FrameSender() as sender,
        FrameListener() as listener,
        ledger_of(settings) as ledger,
        keeper_of(settings, peers, registry) as keeper,
    ):
        async with Netlink(ledger) as netlink:
            router = BirdWatch(settings.bird_socket, RouterMetrics(registry)) if settings.bird_socket else None
            gate = gate_of(settings)
            core = Core(settings.node_name, parse_version(purelb.__version__), asks_first=settings.asks_first)
            returns = ReturnKeeper(ReturnKernel())
            plane = DataPlane(
                core, netlink, sender, listener, peers, inbox, outbox, metrics, returns, router, gate, keeper
            )
            await plane.start()
            control.start()

            def still() -> str | None:
                return plane.pulse.trouble() or control.pulse.trouble()

            def tables() -> tuple[Table, ...]:
                return (*plane.tables(), Table("log", lambda: recollection.events))

            dump = StateDump("lbnodeagent", tables, sys.stdout)
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(dump.run()),
                    tasks.create_task(plane.run()),
                    tasks.create_task(peers.run()),
                    *(tasks.create_task(page) for page in pages(settings, registry, trouble, still)),
                ]
                await stop.wait()
                log.info("stopping")
                stays = await pauses(settings.returns_within, control, plane)
                if not stays:
                    await plane.leave(HAND_OVER)
                await peers.leave(LEAVE)
                for task in running:
                    task.cancel()
            if not stays:
                await plane.end()
            if keeper is not None and not stays:
                await keeper.end()
            await asyncio.to_thread(control.stop, 2.0)
    return 0


async def pauses(within: int, control: ControlThread, plane: DataPlane) -> bool:
    """Have the addresses stay, if another agent adopts them ``within`` seconds; whether they do."""
    if not within:
        return False
    reason = await control.without_successor(ASK)
    if reason is None and not await plane.pause(HAND_OVER, within):
        reason = "not all agents would leave its addresses here"
    if reason is not None:
        log.info("addresses are handed over, as no agent follows this one", extra={"reason": reason})
        return False
    log.info("addresses stay for the next agent", extra={"within": within})
    await asyncio.sleep(TOLD)
    return True


def gate_of(settings: AgentSettings) -> GateWatch | None:
    """What is looked at of the node's data path; None: nothing."""
    proxies: list[HostPort] = []
    if settings.kube_proxy is not None:
        # kube-proxy may listen on all of the node's addresses, or on one.
        hosts = (settings.kube_proxy.host,) if settings.kube_proxy.host else ("127.0.0.1", "::1", settings.common.host)
        proxies = [HostPort(host, settings.kube_proxy.port) for host in dict.fromkeys(hosts) if host]
    gate = GateWatch(proxies, settings.gate_probe)
    return None if gate.is_blind else gate


@contextmanager
def keeper_of(settings: AgentSettings, peers: Peers, registry: CollectorRegistry) -> Iterator[FlowKeeper | None]:
    """What connections need to outlive a move; None: they don't. Raises OSError."""
    # Imported here, because all of it brings half a megabyte of memory.
    from lbnodeagent.flows.netfilter import Netfilter

    if not settings.keeps_flows:
        from lbnodeagent.flows.rules import Rules

        with contextlib.suppress(KernelError), Netfilter() as left:
            Rules(left).end()  # an earlier run may have had it on
        yield None
        return
    from lbnodeagent.flows.keeper import FlowKeeper
    from purelb.flowmetrics import FlowMetrics

    with (
        Netfilter() as rules,
        Netfilter() as conntrack,
        ThreadPoolExecutor(1, "flow-rules") as at_rules,
        ThreadPoolExecutor(1, "conntrack") as at_conntrack,
    ):
        metrics = FlowMetrics(registry)
        yield FlowKeeper(settings.node_name, peers, rules, conntrack, at_rules, at_conntrack, metrics)


@contextmanager
def ledger_of(settings: AgentSettings) -> Iterator[Ledger | None]:
    """Where our addresses are noted; None where they carry a mark. Raises LedgerHeld, OSError."""
    by_mark = settings.ownership == "mark" or (settings.ownership == "auto" and keeps_marks(os.uname().release))
    if by_mark:
        yield None
        return
    with Ledger(settings.ledger, this_life(settings.node_name)) as ledger:
        yield ledger


def pages(
    settings: AgentSettings,
    registry: CollectorRegistry,
    trouble: Callable[[], str | None],
    still: Callable[[], str | None],
) -> Iterator[Coroutine[None, None, None]]:
    """The page with the probes and the metrics, or two where the metrics are read elsewhere, or over TLS."""
    common, apart = settings.common, settings.metrics_host
    is_one = apart in (None, common.host) and common.metrics_tls is None
    shown = registry if is_one else None
    yield keep_serving(lambda: Page(shown, ready=trouble, healthy=still), common.host, common.port)
    where = common.host if apart is None else apart
    if common.metrics_tls is not None:
        certificate = Certificate(common.metrics_tls)
        asking = partial(reviewing, common.kubeconfig, names.AGENT_COMPONENT)
        yield keep_serving(lambda: SecurePage(registry, certificate, asking), where, common.metrics_tls_port)
    elif not is_one:
        yield keep_serving(lambda: Page(registry, ready=trouble, healthy=still), where, common.port)


def main() -> int:
    """Returns the exit code: 0 after an orderly stop, 1 when something failed, 2 for wrong settings."""
    try:
        settings = AgentSettings.from_environment(os.environ, sys.argv[1:])
    except SettingsError as error:
        print(f"purelb-lbnodeagent: {error}", file=sys.stderr)
        return 2
    recollection = logs.configure(settings.common.log_level, settings.common.log_format)
    ignore_signal()
    sys.setswitchinterval(SWITCH_INTERVAL)
    memory.settle()
    try:
        return asyncio.run(run(settings, recollection))
    except (KernelError, LedgerHeld, OSError) as error:
        log.error("the agent can't run here", extra={"error": str(error)})
        return 1


if __name__ == "__main__":
    sys.exit(main())
