"""What a manifest's securityContext makes of a container: user, capabilities, what it may write. Pure.

Owns how pod's and container's contexts and the image's user come together (Kubernetes API, SecurityContext). Must not
start anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.api.objects import Object
from lab.kubelet.environment import MissingReference
from lab.kubelet.images import Image

# What container runtimes leave to a container that asks for nothing (containerd, docker).
_DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
    "KILL AUDIT_WRITE"
)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a container's process may be and do."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    capabilities: tuple[str, ...] | None  # None: all
    may_gain_privileges: bool
    read_only_root: bool


def capabilities_of(container: Object) -> tuple[str, ...] | None:
    """What the container's securityContext leaves it; None: everything, as `privileged` says."""
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        return None
    asked = context.get("capabilities") or {}
    drop = {name.removeprefix("CAP_") for name in asked.get("drop") or ()}
    kept = set() if "ALL" in drop else set(_DEFAULT_CAPABILITIES.split()) - drop
    return tuple(sorted(kept | {name.removeprefix("CAP_") for name in asked.get("add") or ()}))


def confine(container: Object, pod_spec: Object, image: Image) -> Confinement:
    """What of the two contexts holds for a container of that image; the container's own wins.

    Raises MissingReference (CreateContainerConfigError) when root is ruled out and the image runs as root.
    """
    pod_context = pod_spec.get("securityContext") or {}
    context = {**pod_context, **(container.get("securityContext") or {})}
    uid, gid = image.ids()
    if "runAsUser" in context:
        uid = int(context["runAsUser"])
        gid = image.group_of(uid)
    gid = int(context.get("runAsGroup", gid))
    if context.get("runAsNonRoot") and uid == 0:
        raise MissingReference(
            f"container has runAsNonRoot and image will run as root (container: {container['name']})"
        )
    groups = [*(pod_context.get("supplementalGroups") or ())]
    if "fsGroup" in pod_context:
        groups.append(pod_context["fsGroup"])
    return Confinement(
        uid=uid,
        gid=gid,
        groups=tuple(sorted(map(int, groups))),
        capabilities=capabilities_of(container),
        may_gain_privileges=bool(context.get("privileged")) or context.get("allowPrivilegeEscalation", True),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
    )
