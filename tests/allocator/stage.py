"""A cluster for one test: an API server with our CRDs, a client, and the real allocator in the same loop."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from allocator.__main__ import serve
from kubedouble import ApiServer
from kubedouble.testing.servers import Server, api_server
from purelb import names
from purelb.errors import ConflictError, NotFoundError, UnavailableError
from purelb.kube import Kube, core_path, custom_path, services_path
from purelb.settings import AllocatorSettings

CRDS = Path(__file__).parents[2] / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEADLINE = 20.0
"""Seconds after which a test gives up waiting for what it expects."""
_MADE_OF = "tests.purelb.io/made-of"
"""Annotation of a CRD that says which of its two forms, with rules or without, it is."""
Json = dict[str, Any]
T = TypeVar("T")


class Stage:
    """What a test does and sees as a user of the cluster."""

    def __init__(self, server: Server, kube: Kube, kubeconfig: Path) -> None:
        self.server = server
        self.kube = kube
        self.kubeconfig = kubeconfig

    @property
    def api(self) -> ApiServer:
        """The embedded server, for what only it can be told: to fail, or to show its store."""
        assert isinstance(self.server, ApiServer), "a test that needs the embedded server has to ask for it"
        return self.server

    # --- doing -------------------------------------------------------------------------------------------------------

    async def group(self, name: str, *, namespace: str = "purelb", **spec: Any) -> Json:
        """Create a ServiceGroup."""
        body = {
            "apiVersion": "purelb.io/v1",
            "kind": "ServiceGroup",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        return await self.kube.create(custom_path(names.SERVICE_GROUPS, namespace), body)

    async def change_group(self, name: str, *, namespace: str = "purelb", **spec: Any) -> Json:
        return await self.kube.patch(custom_path(names.SERVICE_GROUPS, namespace, name), {"spec": spec})

    async def delete_group(self, name: str, *, namespace: str = "purelb") -> None:
        await self.kube.delete(custom_path(names.SERVICE_GROUPS, namespace, name))

    async def service(
        self,
        name: str,
        *,
        namespace: str = "default",
        annotations: Mapping[str, str] | None = None,
        ports: Iterable[int] = (80,),
        **spec: Any,
    ) -> Json:
        """Create a Service of type LoadBalancer."""
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
            "spec": {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": False,
                "selector": {"app": name},
                "ports": [{"name": f"p{port}", "protocol": "TCP", "port": port} for port in ports],
                **spec,
            },
        }
        return await self.kube.create(services_path(namespace), body)

    async def change(self, name: str, body: Json, *, namespace: str = "default") -> Json:
        return await self.kube.patch(services_path(namespace, name), body)

    async def set_status(self, name: str, addresses: Iterable[str], *, namespace: str = "default") -> Json:
        """Write a Service's addresses as another controller, a restore or an attacker would."""
        ingress = [{"ip": address} for address in addresses]
        body = {"status": {"loadBalancer": {"ingress": ingress or None}}}
        return await self.kube.patch(services_path(namespace, name, "status"), body)

    async def delete(self, name: str, *, namespace: str = "default") -> None:
        await self.kube.delete(services_path(namespace, name))

    # --- seeing ------------------------------------------------------------------------------------------------------

    async def read(self, name: str, *, namespace: str = "default") -> Json:
        return await self.kube.get(services_path(namespace, name))

    async def addresses(self, name: str, *, namespace: str = "default") -> list[str]:
        return ingress_of(await self.read(name, namespace=namespace))

    async def addresses_when_given(self, name: str, *, namespace: str = "default") -> list[str]:
        """The addresses of a Service, as soon as it has some."""
        return await until(lambda: self.addresses(name, namespace=namespace))

    async def all_addresses(self) -> dict[str, list[str]]:
        listing = await self.kube.list(services_path())
        return {body["metadata"]["name"]: ingress_of(body) for body in listing.items if ingress_of(body)}

    async def events(self, name: str, *, namespace: str = "default") -> list[tuple[str, str, str]]:
        """(type, reason, message) of the events on an object, in the order in which they came."""
        listing = await self.kube.list(core_path("events", namespace))
        ours = [event for event in listing.items if event["involvedObject"]["name"] == name]
        ours.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["type"], event["reason"], event["message"]) for event in ours]

    async def event(self, name: str, text: str, *, namespace: str = "default") -> tuple[str, str, str]:
        """The event on an object whose message contains ``text``, as soon as there is one."""

        async def found() -> tuple[str, str, str] | None:
            events = await self.events(name, namespace=namespace)
            return next((event for event in events if text in event[2]), None)

        return await until(found)

    async def versions(self, name: str, *, since: str, namespace: str = "default") -> list[Json]:
        """Every state that a Service was in after the version ``since``, as a watch tells them."""
        url = f"{self.server.url}{services_path(namespace)}?watch=true&resourceVersion={since}&timeoutSeconds=1"
        headers = {"Authorization": f"Bearer {self.server.kubeconfig()['users'][0]['user']['token']}"}
        tls = ssl._create_unverified_context()  # it is this process's own server
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url, ssl=tls) as response:
            events = [json.loads(line) async for line in response.content]
        return [event["object"] for event in events if event["object"]["metadata"]["name"] == name]

    async def group_status(self, name: str, *, namespace: str = "purelb") -> Json:
        body = await self.kube.get(custom_path(names.SERVICE_GROUPS, namespace, name))
        status: Json = body.get("status") or {}
        return status

    def settings(self, identity: str = "allocator-0", **environ: str) -> AllocatorSettings:
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "DEFAULT_ANNOUNCER": "PureLB",
            "PURELB_NAMESPACE": "purelb",
            "PURELB_POD_NAME": identity,
            **environ,
        }
        return AllocatorSettings.from_environment(environment, ["--host", "127.0.0.1", "--port", "0"])

    @asynccontextmanager
    async def allocator(self, identity: str = "allocator-0", **environ: str) -> AsyncIterator[None]:
        """The real program, in this loop; stopped cleanly at the end."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(self.settings(identity, **environ), stop))
            try:
                yield
            finally:
                stop.set()


def ingress_of(body: Json) -> list[str]:
    return [entry["ip"] for entry in body["status"]["loadBalancer"].get("ingress") or ()]


async def until(look: Callable[[], Coroutine[Any, Any, T | None]], deadline: float = DEADLINE) -> T:
    """What ``look`` returns, as soon as it is something."""
    async with asyncio.timeout(deadline):
        while True:
            seen = await look()
            if seen:
                return seen
            await asyncio.sleep(0.02)


def without_rules(node: Any) -> Any:
    """A schema without ``x-kubernetes-validations``."""
    if isinstance(node, dict):
        return {key: without_rules(value) for key, value in node.items() if key != "x-kubernetes-validations"}
    return [without_rules(value) for value in node] if isinstance(node, list) else node


async def install_definition(kube: Kube, crd: Json) -> None:
    """Have exactly this CRD; a real server may have one from an earlier test."""
    path = f"{DEFINITIONS}/{crd['metadata']['name']}"
    while True:
        try:
            await kube.create(DEFINITIONS, crd)
        except ConflictError:
            present = await kube.get(path)
            if present["metadata"].get("annotations", {}).get(_MADE_OF) == crd["metadata"]["annotations"][_MADE_OF]:
                break
            await kube.delete(path)
            await until(lambda: _is_gone(kube, path))
        else:
            break
    for version in crd["spec"]["versions"]:
        served = f"/apis/{crd['spec']['group']}/{version['name']}/{crd['spec']['names']['plural']}"
        await until(lambda served=served: _is_served(kube, served))  # type: ignore[misc]


async def _is_gone(kube: Kube, path: str) -> bool:
    return not await _is_served(kube, path)


async def _is_served(kube: Kube, path: str) -> bool:
    try:
        await kube.get(path)
    except (NotFoundError, UnavailableError):  # a real server answers 429 while it makes the storage of a CRD
        return False
    return True


@asynccontextmanager
async def staged(*, validate: bool = True, embedded: bool = False) -> AsyncIterator[Stage]:
    """A stage without an allocator; its CRDs can be had without CEL rules, as a user's old ones are."""
    async with api_server(embedded=embedded) as server:
        with tempfile.TemporaryDirectory(prefix="purelb-allocator-") as directory:
            kubeconfig = Path(directory) / "kubeconfig"
            kubeconfig.write_text(json.dumps(server.kubeconfig()))
            async with Kube(kubeconfig, user_agent="test") as kube:
                for file in sorted(CRDS.glob("*.purelb.io.yaml")):
                    crd = yaml.safe_load(file.read_text())
                    made_of = crd if validate else without_rules(crd)
                    made_of["metadata"].setdefault("annotations", {})[_MADE_OF] = f"{file.name} validate={validate}"
                    await install_definition(kube, made_of)
                for namespace in ("purelb", "default"):
                    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
                    try:
                        await kube.create(core_path("namespaces"), body)
                    except ConflictError:
                        continue
                yield Stage(server, kube, kubeconfig)


def play(scenario: Callable[[Stage], Coroutine[Any, Any, None]], *, embedded: bool = False, **environ: str) -> None:
    """Run a scenario on a stage with an allocator."""

    async def run() -> None:
        async with staged(embedded=embedded) as stage, stage.allocator(**environ):
            await scenario(stage)

    asyncio.run(run())
