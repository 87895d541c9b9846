"""Reads from the API server what the commands look at. The only module that speaks to it; it asks and never writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from kubectl_purelb.cluster import (
    AGENT,
    ALLOCATOR,
    Cluster,
    component_of,
    says_default_announcer,
    view_config,
    view_gathering,
    view_group,
    view_program,
)
from kubectl_purelb.diagnosis.surroundings import (
    PROXY_CONFIGS,
    ProxyConfig,
    Surroundings,
    view_cluster_ips,
    view_controller,
    view_node,
    view_proxy,
    view_version,
    view_word,
)
from kubectl_purelb.happenings import Backends, Event, is_ours, view_backends, view_events
from kubectl_purelb.needs import EVERY, Which
from kubectl_purelb.pods import Pod, view_pods
from kubectl_purelb.validation.objects import OURS
from purelb import membership, names
from purelb.endpoints import SERVICE_NAME_LABEL, Endpoints, endpoint_slice
from purelb.errors import ForbiddenError, NotFoundError, SettingsError, UnavailableError
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.nodefacts import NodeFacts
from purelb.services import ServiceKey, ServiceView, view_service

Json: TypeAlias = dict[str, Any]

USUAL: Final = "purelb"
"""The namespace of the manifests."""
_LABEL: Final = "app=purelb"


async def read_cluster(kube: Kube, namespace: str | None, which: Which | None = EVERY) -> Cluster:
    """All that tells how PureLB is. ``namespace``: PureLB's; None: it is looked for. ``which``: Services; None: none.

    Raises KubeError, and SettingsError where there are several installations and none was chosen.
    """
    members = await _custom(kube, names.MEMBERSHIPS)
    workloads = [await _workloads(kube, plural, kind) for plural, kind in _KINDS]
    programs = [body for bodies in workloads for body in bodies if component_of(body) in (ALLOCATOR, AGENT)]
    home = namespace or find_home(members, programs)
    groups = await _custom(kube, names.SERVICE_GROUPS)
    configs = await _custom(kube, names.LB_NODE_AGENTS)
    services = await _services(kube, which) if which is not None else []
    own = [body for body in programs if body["metadata"]["namespace"] == home]
    gatherings = [view_gathering(body) for body in members if body["metadata"]["namespace"] == home]
    allocators = [body for body in own if component_of(body) == ALLOCATOR]
    return Cluster(
        namespace=home,
        services=tuple(sorted(services, key=lambda service: service.key)),
        groups=tuple(sorted(map(view_group, groups), key=lambda group: (group.name, group.namespace))),
        configs=tuple(sorted(map(view_config, configs), key=lambda config: config.name)),
        gathering=next((one for one in gatherings if one is not None), None),
        programs={program.name: program for program in map(view_program, own)},
        default_announcer=says_default_announcer(allocators[0]) if allocators else True,
    )


_KINDS: Final = (("deployments", "Deployment"), ("daemonsets", "DaemonSet"))


async def _workloads(kube: Kube, plural: str, kind: str) -> Sequence[Json]:
    listing = await kube.list(group_path("apps/v1", plural), labelSelector=_LABEL)
    return [body | {"kind": kind} for body in listing.items]  # in a list the server leaves it out


async def _custom(kube: Kube, plural: str) -> Sequence[Json]:
    """All objects of a kind of ours; none where the cluster doesn't know the kind."""
    return await _known(kube, custom_path(plural))


async def _known(kube: Kube, path: str) -> Sequence[Json]:
    try:
        return (await kube.list(path)).items
    except UnavailableError as error:
        if error.status == 404:
            return []
        raise


def find_home(members: Collection[Json], programs: Collection[Json]) -> str:
    """PureLB's namespace: where its agents say who is there, or else where its programs are.

    Anybody may label a Deployment of their own, but not make a Membership.
    """
    for bodies in (members, programs):
        found = {body["metadata"]["namespace"] for body in bodies if _may_tell(body)}
        if len(found) > 1 and USUAL not in found:
            raise SettingsError(
                f"PureLB seems to be in several namespaces ({', '.join(sorted(found))}): say which with "
                "--purelb-namespace"
            )
        if found:
            return USUAL if USUAL in found else found.pop()
    return USUAL


def _may_tell(body: Json) -> bool:
    return body.get("kind") in ("Deployment", "DaemonSet") or body["metadata"]["name"] == membership.NAME


async def _services(kube: Kube, which: Which) -> Sequence[ServiceView]:
    """What is read of them, a page at a time."""
    query = {} if which.name is None else {"fieldSelector": f"metadata.name={which.name}"}
    pages = kube.pages(services_path(which.namespace), **query)
    return [view_service(body) async for page in pages for body in page.items]


async def read_service(kube: Kube, key: ServiceKey) -> ServiceView:
    """A Service as it is now; by the same right as all of them. Raises KubeError, and SettingsError if it is gone."""
    found = (await kube.list(services_path(key.namespace), fieldSelector=f"metadata.name={key.name}")).items
    named = [body for body in found if body["metadata"]["name"] == key.name]
    if not named:
        raise SettingsError(f"Service {key} is gone")
    return view_service(named[0])


async def read_events(kube: Kube, service: ServiceView) -> tuple[Event, ...]:
    """What PureLB's programs said of a Service, the newest first; not of one before it that had its name.

    Raises KubeError.
    """
    key = service.key
    about = f"involvedObject.kind=Service,involvedObject.name={key.name},involvedObject.uid={service.uid}"
    return view_events((await kube.list(core_path("events", key.namespace), fieldSelector=about)).items)


async def read_all_events(kube: Kube, namespace: str | None) -> tuple[Event, ...]:
    """What PureLB's programs said of all objects, or of those in a namespace; the newest first. Raises KubeError."""
    pages = kube.pages(core_path("events", namespace))
    return view_events([body async for page in pages for body in page.items if is_ours(body)])


async def read_backends(kube: Kube, key: ServiceKey) -> Backends:
    """The endpoints of a Service. Raises KubeError."""
    path = group_path("discovery.k8s.io/v1", "endpointslices", key.namespace)
    return view_backends((await kube.list(path, labelSelector=f"{SERVICE_NAME_LABEL}={key.name}")).items)


async def read_facts_of(kube: Kube, node: str, namespace: str) -> NodeFacts:
    """What the agent of a node says of it in its Lease, if it may be read. Raises KubeError."""
    try:
        name = f"{names.NODE_LEASE}{node}"
        leases = await kube.list(_leases(namespace), fieldSelector=f"metadata.name={name}")
    except ForbiddenError:
        return NodeFacts()
    words = [view_word(body) for body in leases.items if body["metadata"]["name"] == name]
    return words[0].facts if words and words[0] is not None else NodeFacts()


def _leases(namespace: str) -> str:
    return group_path("coordination.k8s.io/v1", "leases", namespace)


async def read_surroundings(kube: Kube, namespace: str) -> Surroundings:
    """What else the doctor looks at. ``namespace``: PureLB's. Raises KubeError."""
    nodes = [view_node(body) async for page in kube.pages(core_path("nodes")) for body in page.items]
    leases = (await kube.list(_leases(namespace))).items
    words = [word for word in map(view_word, leases) if word is not None]
    controllers, homes = [], set()
    for plural, kind in _KINDS:
        async for page in kube.pages(group_path("apps/v1", plural)):
            for body in page.items:
                found = view_controller(body | {"kind": kind})
                controllers += [found] if found is not None else []
                if kind == "DaemonSet" and is_agents(body):
                    homes.add(body["metadata"]["namespace"])
    cidrs = await _known(kube, group_path("networking.k8s.io/v1", "servicecidrs"))
    return Surroundings(
        nodes=tuple(sorted(nodes, key=lambda node: node.name)),
        words={word.node: word for word in words},
        controllers=tuple(controllers),
        cluster_ips=tuple(one for body in cidrs for one in view_cluster_ips(body)),
        homes=frozenset(homes),
        version=view_version(await kube.discover("/version")),
        proxy=await _proxy(kube),
    )


async def _proxy(kube: Kube) -> ProxyConfig | None:
    """kube-proxy's configuration, where there is one, and it may be read: other distributions keep it elsewhere."""
    for name in PROXY_CONFIGS:
        try:
            found = view_proxy(await kube.get(core_path("configmaps", "kube-system", name)))
        except (ForbiddenError, NotFoundError):
            continue
        if found is not None:
            return found
    return None


def is_agents(body: Json) -> bool:
    """Whether a DaemonSet is of PureLB's agents, ours or its own."""
    return component_of(body) == AGENT and (body["metadata"].get("labels") or {}).get("app") == USUAL


BUNDLED: Final = {
    "servicegroups": custom_path(names.SERVICE_GROUPS),
    "lbnodeagents": custom_path(names.LB_NODE_AGENTS),
    "memberships": custom_path(names.MEMBERSHIPS),
    "services": services_path(),
    "nodes": core_path("nodes"),
    "deployments": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "daemonsets": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
}
"""What of a cluster goes into a support bundle, and where it is; of Services those of type LoadBalancer."""


async def read_objects(kube: Kube, path: str, namespace: str) -> list[Json]:
    """Whole objects; of Services those that are load balancers'. Raises KubeError."""
    found = list(await _known(kube, path.format(namespace=quote(namespace, safe=""))))
    if path == BUNDLED["services"]:
        return [body for body in found if (body.get("spec") or {}).get("type") == "LoadBalancer"]
    return found


async def read_pods(kube: Kube, namespace: str) -> tuple[Pod, ...]:
    """PureLB's own. Raises KubeError."""
    return view_pods((await kube.list(core_path("pods", namespace), labelSelector=_LABEL)).items)


_JUDGED: Final = (
    ("ServiceGroup", custom_path(names.SERVICE_GROUPS)),
    ("LBNodeAgent", custom_path(names.LB_NODE_AGENTS)),
    ("Node", core_path("nodes")),
    ("ServiceCIDR", group_path("networking.k8s.io/v1", "servicecidrs")),
    ("Service", services_path("kube-system")),
)


async def read_configuration(kube: Kube) -> list[Json]:
    """What pools are judged by: ServiceGroups, LBNodeAgents, and who has which addresses. Raises KubeError."""
    found = [body | {"kind": kind} for kind, path in _JUDGED for body in await _known(kube, path)]
    slices = group_path("discovery.k8s.io/v1", "endpointslices", "default")
    server = await kube.list(slices, labelSelector=f"{SERVICE_NAME_LABEL}=kubernetes")
    server_ip = await kube.list(services_path("default"), fieldSelector="metadata.name=kubernetes")
    found += [body | {"kind": "EndpointSlice"} for body in server.items]
    found += [body | {"kind": "Service"} for body in server_ip.items]
    ours = f"{names.GROUP}/{names.READ_VERSION}"
    return [body | {"apiVersion": ours if body["kind"] in OURS else ""} for body in found]


async def read_endpoints(kube: Kube) -> Endpoints:
    """On which nodes the endpoints of all Services are. Raises KubeError."""
    pages = kube.pages(group_path("discovery.k8s.io/v1", "endpointslices"))
    slices = [one async for page in pages for one in map(endpoint_slice, page.items) if one is not None]
    endpoints = Endpoints()
    endpoints.take_all(slices)
    return endpoints
