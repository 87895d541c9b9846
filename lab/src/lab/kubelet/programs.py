"""From a pod's manifest to the processes that are to run: environment, files, mounts, rights.

Owns what a container finds when it starts, in the machine's own file system or in an image's. Reads the Secrets and
ConfigMaps that the manifest names. When it starts and how often is `containers`'.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.api.authority import Authority
from lab.api.cluster import Cluster
from lab.api.objects import Object, path
from lab.kubelet.confinement import capabilities_of, confine
from lab.kubelet.environment import expand, references, resolve_environment
from lab.kubelet.images import Image, load
from lab.kubelet.labimages import is_lab_image, lab_command
from lab.kubelet.status import PodPlace
from lab.kubelet.volumes import (
    SERVICE_ACCOUNT,
    Mount,
    decode,
    network_files,
    own_mounts,
    service_account_files,
    write_files,
)
from lab.machine.processes import BASE_ENVIRONMENT, Program
from lab.wire.network import Network
from lab.wire.topology import API_PORT, Host
from purelb.errors import KubeError
from purelb.ordering import key_of

log = logging.getLogger("lab.kubelet")

_TOKEN_SECONDS = 7 * 24 * 3600  # tokens aren't renewed: longer than any experiment
# Without images the programs lie in the machine's file system: root must be able to read them there.
_READ_FILES = ("DAC_OVERRIDE", "DAC_READ_SEARCH")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pod of a lab shares."""

    cluster: Cluster
    network: Network
    folder: Path  # the lab's own
    authority: Authority  # the API server's
    images: Path | None = None  # see `images`; None: programs of the machine's own file system


def command_of(container: Object) -> list[str]:
    """The program of a container without its image: its command, else what its image stands for, and its args."""
    command = list(container.get("command") or ())
    if not command:
        image = container.get("image", "").rpartition("/")[2].partition(":")[0]
        known = {"allocator": "purelb-allocator", "lbnodeagent": "purelb-lbnodeagent"}
        command = [next((program for part, program in known.items() if part in image), image)]
    # An image has its program somewhere of its own; here it is found by name.
    command[0] = os.path.basename(command[0]) if "purelb" in command[0] else command[0]  # noqa: PTH119
    return [*command, *(container.get("args") or ())]


def token_request(pod: Object) -> tuple[str, Object]:
    """Whose token the pod gets, and how it is asked for: bound to the pod where the pod itself names the account."""
    spec: Object = {"expirationSeconds": _TOKEN_SECONDS}
    account = pod["spec"].get("serviceAccountName")
    if account:
        name = pod["metadata"]["name"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return account or "default", body


class PodPrograms:
    """Makes the programs of one pod."""

    def __init__(self, shared: Surroundings, node: Host, place: PodPlace, files: Path) -> None:
        self._shared = shared
        self._node = node
        self._place = place
        self._files = files

    async def make(self, pod: Object, container: Object, restart: int, netns: int) -> Program:
        """The container's program. Raises LabError, KubeError or MissingReference for what it lacks."""
        pod = {**pod, "status": {**(pod.get("status") or {}), **self._addresses_in_status()}}
        namespace, name = key_of(pod)
        image = await asyncio.to_thread(self._image, container)
        known = await self._referenced(pod, container)
        environment = self._base_environment(pod, image)
        environment |= resolve_environment(container, pod, lambda kind, key: known.get((kind, key)))
        volumes = self._files / "volumes"
        node = node_folder(self._shared.folder, self._node)
        has_image = image is not None
        mounts = await asyncio.to_thread(
            own_mounts, container, pod, volumes, node, lambda kind, key: known.get((kind, key)), anywhere=has_image
        )
        mounts |= await self._usual_mounts(pod, container, environment["HOSTNAME"])
        argv = image.argv(container.get("command") or [], container.get("args") or []) if image else None
        return Program(
            name=f"{namespace}/{name}/{container['name']}",
            argv=tuple(expand(part, environment) for part in argv or self._command(container)),
            log=log_file(self._shared.folder, pod, container["name"], restart),
            environment=environment,
            netns=netns,
            hostname=environment["HOSTNAME"],
            mounts={target: mount.source for target, mount in mounts.items()},
            capabilities=_with_file_access(capabilities_of(container)),
            container=self._sandbox(pod, container, image, mounts, self._files / container["name"]) if image else None,
        )

    def _image(self, container: Object) -> Image | None:
        reference = container.get("image", "")
        if self._shared.images is None or is_lab_image(reference):
            return None
        return load(self._shared.images, reference)

    def _command(self, container: Object) -> list[str]:
        return lab_command(container, self._node.name) or command_of(container)

    def _base_environment(self, pod: Object, image: Image | None) -> dict[str, str]:
        api = self._shared.network.topology.api_ip(self._node)
        return {
            **(image.environment if image else BASE_ENVIRONMENT),
            "HOME": "/",
            "HOSTNAME": self._node.name if pod["spec"].get("hostNetwork") else pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": str(api),
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(API_PORT),
        }

    async def _usual_mounts(self, pod: Object, container: Object, hostname: str) -> dict[str, Mount]:
        """What kubelet brings into every container: names, resolver, the ServiceAccount's token."""
        read_only = bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))
        etc = network_files(hostname, self._place.pod_ips)
        await asyncio.to_thread(write_files, self._files / "etc", etc)
        mounts = {f"/etc/{name}": Mount(str(self._files / "etc" / name), read_only) for name in etc}
        if pod["spec"].get("automountServiceAccountToken", True):
            await self._write_account(pod)
            mounts[SERVICE_ACCOUNT] = Mount(str(self._files / "serviceaccount"), read_only=True)
        return mounts

    async def renew_account(self, pod: Object) -> None:
        """Another token, and the authority of the moment, where the pod has them."""
        if (self._files / "serviceaccount").exists():
            await self._write_account(pod)

    async def _write_account(self, pod: Object) -> None:
        token = await self._token(pod)
        files = service_account_files(token, self._shared.authority.pem, pod["metadata"]["namespace"])
        await asyncio.to_thread(write_files, self._files / "serviceaccount", files)

    @staticmethod
    def _sandbox(pod: Object, container: Object, image: Image, mounts: dict[str, Mount], folder: Path) -> Object:
        """What `sandbox` is told."""
        scratch = folder / "sandbox"
        scratch.mkdir(parents=True, exist_ok=True)
        return {
            **asdict(confine(container, pod["spec"], image)),
            "root": str(image.root),
            "scratch": str(scratch),
            "folder": container.get("workingDir") or image.folder,
            "read_only_mounts": [target for target, mount in mounts.items() if mount.read_only],
        }

    def _addresses_in_status(self) -> Object:
        place = self._place
        return {
            "podIP": place.pod_ips[0],
            "podIPs": [{"ip": ip} for ip in place.pod_ips],
            "hostIP": place.host_ips[0],
            "hostIPs": [{"ip": ip} for ip in place.host_ips],
        }

    async def _token(self, pod: Object) -> str:
        namespace, _ = key_of(pod)
        account, body = token_request(pod)
        while True:
            try:
                where = path("serviceaccounts", namespace, account, "token")
                answer = await self._shared.cluster.kube.create(where, body)
                return str(answer["status"]["token"])
            except KubeError as failure:
                # The account may come a moment after the pod; admission refuses pods without one upstream.
                log.info("token of %s/%s: %s", namespace, account, failure)
                await asyncio.sleep(0.3)

    async def _referenced(self, pod: Object, container: Object) -> dict[tuple[str, str], dict[str, str]]:
        """The Secrets and ConfigMaps that the container's environment and the pod's volumes name, as far as there."""
        namespace, _ = key_of(pod)
        found: dict[tuple[str, str], dict[str, str]] = {}
        for kind, name in references(container, pod["spec"].get("volumes") or ()):
            try:
                found[kind, name] = decode(await self._shared.cluster.kube.get(path(kind, namespace, name)), kind)
            except KubeError as failure:
                if failure.status != 404:
                    raise
        return found


def _with_file_access(capabilities: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if capabilities is None else tuple(sorted({*capabilities, *_READ_FILES}))


def node_folder(folder: Path, node: Host) -> Path:
    """What stands for the root of a node's own file system."""
    return folder / "nodes" / node.name


def log_folder(folder: Path) -> Path:
    """Where the output of pods goes, in kubelet's own layout."""
    return folder / "logs" / "pods"


def log_file(folder: Path, pod: Object, container: str, restart: int) -> Path:
    namespace, name = key_of(pod)
    return log_folder(folder) / f"{namespace}_{name}_{pod['metadata']['uid']}" / container / f"{restart}.log"
