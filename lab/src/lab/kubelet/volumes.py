"""What a pod finds mounted: its ServiceAccount's token, and the volumes of its manifest.

Owns the files of a pod on disk. Without images a pod of the lab shares the machine's file system: below /run and
/var/run it has one of its own, and elsewhere a volume can only cover a folder that is there. Must not start anything.
"""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.kubelet.environment import Lookup, MissingReference

Object = dict[str, Any]

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the machine that a container sees somewhere."""

    source: str
    read_only: bool = False


def service_account_files(token: str, ca: str, namespace: str) -> dict[str, str]:
    return {"token": token, "ca.crt": ca, "namespace": namespace}


def network_files(hostname: str, addresses: tuple[str, ...]) -> dict[str, str]:
    """What kubelet writes for a pod: /etc/hosts with its own name, and the resolver's configuration.

    A lab has no DNS. The resolver is told to ask a port of loopback that is closed, so that a lookup fails at
    once: towards an address that nobody has, each would wait for seconds.
    """
    hosts = ["127.0.0.1 localhost", "::1 localhost", *(f"{address} {hostname}" for address in addresses)]
    return {"hosts": "\n".join(hosts) + "\n", "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"}


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Make the folder hold exactly these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        # At once, as a program may be reading it; and by a name of its own, as all containers of a pod may be at it.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False) as part:
            part.write(text.encode(errors="surrogateescape"))
        Path(part.name).chmod(0o644)
        Path(part.name).replace(folder / name)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def own_mounts(
    container: Object, pod: Object, folder: Path, node: Path, lookup: Lookup, *, anywhere: bool = False
) -> dict[str, Mount]:
    """What is mounted for each volume of the container, by path; its files are written first.

    `folder` has the pod's volumes, which its containers share; `node` stands for the root of its node's file system
    (hostPath). Not `anywhere`: an emptyDir elsewhere than below /run (a scratch folder such as /tmp) is left to the
    machine's own. Raises MissingReference, then also for a path that the machine doesn't have.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    mounts: dict[str, Mount] = {}
    for mount in container.get("volumeMounts") or ():
        volume, path = volumes[mount["name"]], mount["mountPath"].rstrip("/")
        if path == SERVICE_ACCOUNT:
            continue  # what the API server's admission puts into every pod; the token is ours to bring
        is_scratch, is_nodes = "emptyDir" in volume, "hostPath" in volume
        if not anywhere and not path.startswith(("/run/", "/var/run/")):
            if is_scratch:
                continue
            if not Path(path).is_dir():
                raise MissingReference(f"volume {mount['name']}: {path} is neither below /run nor on this machine")
        if is_nodes:
            source = node / volume["hostPath"]["path"].lstrip("/")
            source.mkdir(parents=True, exist_ok=True)
        else:
            source = folder / mount["name"]
            write_files(source, _content(volume, lookup))
        if is_scratch:
            source.chmod(0o777)  # as kubelet makes it, for whatever user the container has
        mounts[path] = Mount(str(source), read_only=not (is_scratch or is_nodes) or bool(mount.get("readOnly")))
    return mounts


def _content(volume: Object, lookup: Lookup) -> dict[str, str]:
    if "emptyDir" in volume:
        return {}
    for kind, field, name in (("configmaps", "configMap", "name"), ("secrets", "secret", "secretName")):
        if field in volume:
            source = volume[field]
            values = lookup(kind, source[name])
            if values is None and not source.get("optional"):
                raise MissingReference(f'{kind.removesuffix("s")} "{source[name]}" not found')
            files = dict(values or {})
            items = source.get("items")
            return {item["path"]: files[item["key"]] for item in items if item["key"] in files} if items else files
    raise MissingReference(f"volume {volume['name']} is of a kind that the lab doesn't know")


def decode(obj: Object, kind: str) -> dict[str, str]:
    """The strings of a ConfigMap or Secret."""
    if kind == "configmaps":
        return dict(obj.get("data") or {})
    data = obj.get("data") or {}
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}
