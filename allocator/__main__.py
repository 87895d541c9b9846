"""The program ``purelb-allocator``: puts the parts together and runs them until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

import purelb
from allocator.bootstrap import install
from allocator.gossipkey import GossipSecret, Remembered
from allocator.groups.configuration import Configuration
from allocator.ipam.engine import Engine
from allocator.leadership import Leadership, LeadershipLostError
from allocator.reconcile.agentstatus import AgentStatuses
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.clusterobjects import ClusterObjects
from allocator.reconcile.controller import Controller
from allocator.reconcile.following import Following
from allocator.reconcile.holdings import ServiceHoldings
from allocator.reconcile.notices import Notices
from allocator.reconcile.planning import Planning
from allocator.reconcile.publisher import Publisher
from allocator.reconcile.vigil import Vigil
from allocator.sources.claims import SidecarClaims
from allocator.sources.external import ExternalSources
from allocator.sources.opening import SourceFactory
from purelb import logs, memory, names
from purelb.clusteraddresses import told_by_operator
from purelb.errors import SettingsError
from purelb.events import EventRecorder, Unsent
from purelb.kopfrunner import run_operator
from purelb.kube import Kube
from purelb.light_prometheus import CollectorRegistry
from purelb.metrics import AllocatorMetrics, new_registry
from purelb.missingrights import own_pod, tell
from purelb.pace import Pace
from purelb.page import Page, keep_serving
from purelb.pulse import Pulse
from purelb.reviews import reviewing
from purelb.securepage import Certificate, SecurePage
from purelb.settings import AllocatorSettings, CommonSettings
from purelb.statedump import Table
from purelb.statesignal import StateDump, ignore_signal

log = logging.getLogger(__name__)

LAST_WRITES = 3.0
"""Seconds that a stop waits for writes under way and for the Lease to be given up."""
LAST_EVENTS = 2.0
"""Seconds that a stop waits for events to be sent."""


async def serve(
    settings: AllocatorSettings,
    stop: asyncio.Event,
    pace: Pace | None = None,
    gossip_key: Remembered | None = None,
    unsent: Unsent | None = None,
    recollection: logs.Recollection | None = None,
) -> None:
    """Run the allocator until ``stop`` is set.

    ``gossip_key``: what an earlier run knew of it; ``unsent``: the events that it had no time to send;
    ``recollection``: what was decided lately, which with all tables is written to the log on SIGUSR1.
    """
    common, clock = settings.common, asyncio.get_running_loop().time
    registry = new_registry()
    metrics = AllocatorMetrics(registry)
    async with Kube(
        common.kubeconfig, user_agent=names.ALLOCATOR_COMPONENT, pace=pace, requested=metrics.requested
    ) as kube:
        leadership = Leadership(kube, common.namespace, settings.identity, clock)
        recorder = EventRecorder(kube, names.ALLOCATOR_COMPONENT, unsent)
        notices = Notices(recorder, metrics)
        engine, cache = Engine(), ServiceCache()
        configuration = Configuration(engine, has_netbox_token=settings.netbox_token is not None)
        external = ExternalSources(
            SourceFactory(kube, settings.netbox_token, metrics, clock),
            SidecarClaims(kube, common.namespace),
            ServiceHoldings(cache, engine),
            leadership,
            metrics,
            clock,
        )
        cluster = ClusterObjects(told_by_operator(settings.forbidden))
        following = Following(kube, common.namespace, metrics, clock)
        planning = Planning(
            engine,
            settings.tempo,
            metrics,
            clock,
            following.want_endpoints,
            default_announcer=settings.default_announcer,
        )
        controller = Controller(
            kube,
            following,
            engine,
            cache,
            configuration,
            cluster,
            external,
            planning,
            leadership,
            notices,
            metrics,
            clock,
            default_announcer=settings.default_announcer,
        )
        gossip = GossipSecret(kube, common.namespace, metrics, clock, gossip_key or Remembered())
        publisher = Publisher(kube, engine, configuration, external, planning.chosen, metrics)
        statuses = AgentStatuses(kube, planning.agents)
        begun = asyncio.Event()

        async def lead() -> None:
            await begun.wait()
            async with asyncio.TaskGroup() as candidacy:
                standing_by = candidacy.create_task(controller.stand_by())
                await leadership.acquire()
                standing_by.cancel()
            metrics.leads.set(1)
            try:
                async with asyncio.TaskGroup() as duties:
                    others = [
                        duties.create_task(leadership.keep()),
                        duties.create_task(publisher.run()),
                        duties.create_task(statuses.run()),
                        duties.create_task(install(kube, common.namespace, settings.placement)),
                        duties.create_task(gossip.keep()),
                    ]
                    await controller.run()
                    for task in others:
                        task.cancel()
            finally:
                metrics.leads.set(0)
                await leadership.release()

        def why_idle() -> str | None:
            """Why no allocator gives addresses; a leader that has just begun is idle for a moment."""
            if not leadership.is_ours:
                return leadership.complaint(clock())
            return None if controller.is_synchronised else following.trouble(clock())

        def unready() -> str | None:
            now = clock()
            trouble = (
                following.trouble(now) or leadership.complaint(now) or gossip.trouble(now) or kube.rights.trouble(now)
            )
            stands_by = not leadership.is_ours and following.is_listed
            if trouble is None and not (controller.is_synchronised or stands_by):
                return "not everything is listed yet"
            return trouble

        async def show() -> None:
            """The status page, where it is wanted."""
            if settings.page is None:
                return
            # Imported here, because most do without it, and it brings 1.5 MB of memory.
            from allocator.page.metrics import PageMetrics
            from allocator.page.server import PageServer
            from allocator.page.view import Teller
            from allocator.page.watching import Watching

            teller = Teller(settings.identity, purelb.__version__, time.time(), settings.default_announcer)
            shown = PageServer(settings.page, teller, PageMetrics(registry))
            await Watching(
                shown, cache, configuration, planning, lambda: leadership.is_ours, unready, clock, time.time
            ).run()

        def tables() -> Iterable[Table]:
            told = {
                "identity": settings.identity,
                "leads": leadership.is_ours,
                "synchronised": controller.is_synchronised,
                "trouble": unready(),
                "leaseUnrenewedFor": leadership.unrenewed(clock()),
            }
            events = recollection.events if recollection is not None else []
            return (Table("program", lambda: [told]), *controller.tables(), Table("decisions", lambda: events))

        metrics.lease_unrenewed.set_function(lambda: leadership.unrenewed(clock()))
        vigil = Vigil(cache, notices.unserved, why_idle, clock, default_announcer=settings.default_announcer)

        pulse = Pulse("the allocator")
        shown = registry if common.metrics_tls is None else None
        page = await Page(shown, ready=unready, healthy=pulse.trouble).start(common.host, common.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                recording, beating = tasks.create_task(recorder.run()), tasks.create_task(pulse.beat())
                keeping = tasks.create_task(gossip.follow())
                telling = tasks.create_task(tell(kube.rights, own_pod(common), recorder, metrics, clock))
                watching = tasks.create_task(vigil.run())
                tidying = tasks.create_task(memory.tidy(following.recovered))
                sealing = tasks.create_task(show_sealed(settings.common, registry))
                dumping = tasks.create_task(_dump(recollection, tables))
                leading = tasks.create_task(lead())
                framing = tasks.create_task(run_operator(kube, begun=begun, stop=stop))
                showing = tasks.create_task(show())
                await stop.wait()
                controller.stop()
                await asyncio.wait([leading], timeout=LAST_WRITES if leadership.is_ours else 0)
                others = (keeping, telling, recording, beating, framing, watching, tidying, sealing, dumping, showing)
                for task in (leading, *others):
                    task.cancel()
            await recorder.flush(LAST_EVENTS)
        finally:
            await page.close()


async def show_sealed(common: CommonSettings, registry: CollectorRegistry) -> None:
    """Show the metrics over TLS, if they are to be, until cancelled."""
    if common.metrics_tls is not None:
        certificate = Certificate(common.metrics_tls)
        asking = partial(reviewing, common.kubeconfig, names.ALLOCATOR_COMPONENT)
        await keep_serving(lambda: SecurePage(registry, certificate, asking), common.host, common.metrics_tls_port)


async def _dump(recollection: logs.Recollection | None, tables: Callable[[], Iterable[Table]]) -> None:
    """Write the state when SIGUSR1 asks for it, in a program of its own; where this is a part of another one, never."""
    if recollection is not None:
        await StateDump("allocator", tables, sys.stdout).run()


async def serve_until_stopped(
    settings: AllocatorSettings,
    stop: asyncio.Event,
    pace: Pace | None = None,
    recollection: logs.Recollection | None = None,
) -> None:
    """Run the allocator until ``stop`` is set, which SIGTERM and SIGINT do too.

    One that lost its Lease begins again in the same process, knowing nothing but the gossip's key and what it has still
    to tell: an API server that was away for longer than the Lease must not cost the restart's back-off on top, and
    where it comes back with an older state, without the Secret say, agents that start must have the key of those that
    run.
    """
    gossip_key, unsent = Remembered(), Unsent()
    while not stop.is_set():
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
        try:
            await serve(settings, stop, pace, gossip_key, unsent, recollection)
        except* LeadershipLostError as lost:
            log.warning("standing by", extra={"reason": str(_leaf(lost))})


def _leaf(group: BaseExceptionGroup[LeadershipLostError]) -> BaseException:
    """The first error in a group of them, whose own words say nothing."""
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


def main() -> None:
    """Entry point."""
    complaint = None
    try:
        settings = AllocatorSettings.from_environment(os.environ, sys.argv[1:])
        recollection = logs.configure(settings.common.log_level, settings.common.log_format)
        ignore_signal()
        memory.settle()
        asyncio.run(serve_until_stopped(settings, asyncio.Event(), recollection=recollection))
    except* SettingsError as errors:
        # No exit in here: before Python 3.11.4 it would end in the group's traceback.
        complaint = f"purelb-allocator: {errors.exceptions[0]}"
    if complaint is not None:
        sys.exit(complaint)


if __name__ == "__main__":
    main()
