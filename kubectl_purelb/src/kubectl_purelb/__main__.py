"""``kubectl purelb``, or ``kubectl-purelb``: reads the command line and the clock, asks the API server, prints."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path

from kubectl_purelb.answers import Answer
from kubectl_purelb.arguments import Arguments, parse_arguments
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.collecting import make_bundle, tell_state
from kubectl_purelb.commands.doctor import doctor
from kubectl_purelb.commands.election import election
from kubectl_purelb.commands.events import events
from kubectl_purelb.commands.inspect import inspect
from kubectl_purelb.commands.nodes import nodes
from kubectl_purelb.commands.pools import pools
from kubectl_purelb.commands.services import services
from kubectl_purelb.commands.status import status
from kubectl_purelb.commands.top import top
from kubectl_purelb.commands.validate import validate
from kubectl_purelb.commands.version import version
from kubectl_purelb.commands.vip import holders, vip
from kubectl_purelb.dashboard import show_page
from kubectl_purelb.diagnosis.doctor import diagnose
from kubectl_purelb.errands import even_out, move
from kubectl_purelb.forecast import needs_endpoints
from kubectl_purelb.inspection.case import Case
from kubectl_purelb.live import watch
from kubectl_purelb.manifests import read_manifests
from kubectl_purelb.needs import needed
from kubectl_purelb.printing import print_answer, printable
from kubectl_purelb.reading import (
    read_all_events,
    read_backends,
    read_cluster,
    read_configuration,
    read_endpoints,
    read_events,
    read_facts_of,
    read_surroundings,
)
from kubectl_purelb.validation.objects import gathered
from purelb.addresses import parse_address
from purelb.credentials import Kubeconfig
from purelb.endpoints import Endpoints
from purelb.errors import PureLBError
from purelb.kube import Kube

WELL, NOT_WELL, NO_ANSWER, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one command; the exit code."""
    try:
        arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
        answer = asyncio.run(_ask(arguments))
        print_answer(answer, arguments.output, sys.stdout)
        sys.stdout.flush()
    except PureLBError as error:
        print(f"kubectl purelb: {printable(str(error))}", file=sys.stderr)
        return NO_ANSWER
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_ANSWER
    return WELL if answer.is_well else NOT_WELL


async def _ask(arguments: Arguments) -> Answer:
    if arguments.command == "validate" and arguments.files and not arguments.with_cluster:
        return validate(gathered(read_manifests(arguments.files, sys.stdin)), is_strict=arguments.is_strict)
    async with Kube(kubeconfig_of(arguments, os.environ), user_agent="kubectl-purelb") as kube:
        which = needed(arguments.command, arguments.subject, arguments.namespace)
        cluster = await read_cluster(kube, arguments.purelb_namespace, which)
        now = datetime.datetime.now(datetime.UTC)
        match arguments.command:
            case "status":
                return status(cluster, now)
            case "pools":
                return pools(cluster)
            case "services":
                return services(cluster, arguments.namespace, arguments.only)
            case "nodes":
                return nodes(cluster)
            case "vip":
                address = parse_address(arguments.subject)
                places = holders(address, cluster)
                keys = {place.service for place in places}
                held = [service for service in cluster.services if service.key in keys]
                events_of = {one.key: await read_events(kube, one) for one in held}
                nodes_of = {place.node for place in places if place.node}
                facts = {node: await read_facts_of(kube, node, cluster.namespace) for node in nodes_of}
                return vip(address, cluster, events_of, facts)
            case "inspect":
                service = cluster.find(arguments.subject, arguments.namespace)
                said, backends = await read_events(kube, service), await read_backends(kube, service.key)
                return inspect(Case(service, cluster, said, backends, now))
            case "doctor":
                around = await read_surroundings(kube, cluster.namespace)
                return doctor(diagnose(cluster, around, now), len(around.words))
            case "election":
                return await _election(kube, cluster, arguments)
            case "top":
                return await _top(kube, cluster, arguments)
            case "dashboard":
                return await show_page(cluster, arguments, partial(print, flush=True))
            case "state":
                return await tell_state(kube, cluster, arguments)
            case "support-bundle":
                return await make_bundle(kube, cluster, arguments, version_of("kubectl-purelb"), now)
            case "move":
                return await move(kube, cluster, arguments)
            case "rebalance":
                return await even_out(kube, cluster, arguments)
            case "events":
                asked = cluster.find(arguments.subject, arguments.namespace).key if arguments.subject else None
                told = await read_all_events(kube, asked.namespace if asked else arguments.namespace)
                span = arguments.since
                return events(told, asked, None if span is None else now - datetime.timedelta(seconds=span))
            case "validate":
                subnets = cluster.gathering.on if cluster.gathering is not None else None
                files = read_manifests(arguments.files, sys.stdin)
                there = await read_configuration(kube)
                return validate(gathered(files, subnets, over=there), is_strict=arguments.is_strict)
            case _:
                return version(cluster, version_of("kubectl-purelb"))


async def _election(kube: Kube, cluster: Cluster, arguments: Arguments) -> Answer:
    asked = None
    if arguments.subject:
        asked = {cluster.find(arguments.subject, arguments.namespace).key}
    elif arguments.namespace is not None:
        asked = {service.key for service in cluster.ours if service.key.namespace == arguments.namespace}
    endpoints = await read_endpoints(kube) if needs_endpoints(cluster) else Endpoints()
    return election(cluster, endpoints.of, asked, arguments.node, arguments.event)


async def _top(kube: Kube, cluster: Cluster, arguments: Arguments) -> Answer:
    async def look(now: datetime.datetime) -> Answer:
        return top(await read_cluster(kube, cluster.namespace), await read_all_events(kube, None), now)

    if arguments.is_once or arguments.output != "table" or not sys.stdout.isatty():
        return await look(datetime.datetime.now(datetime.UTC))
    return await watch(look, arguments.interval, sys.stdout)


def kubeconfig_of(arguments: Arguments, environ: Mapping[str, str]) -> Kubeconfig | None:
    """As kubectl finds it: the flag, KUBECONFIG (several files, if it names them), ``~/.kube/config``.

    None without any: then this may be a pod, with a service account.
    """
    usual = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if arguments.kubeconfig is not None:
        path = arguments.kubeconfig
    elif environ.get("KUBECONFIG"):
        path = Path(environ["KUBECONFIG"])  # the official client reads all files of a list
    elif usual.exists() or arguments.context is not None:
        path = usual
    else:
        return None
    return Kubeconfig(path, arguments.context)


if __name__ == "__main__":
    sys.exit(main())
