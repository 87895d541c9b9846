"""Defaults and checks of pod specs, wherever they occur: Pods and the templates of workloads.

Owns what `k8s.io/kubernetes/pkg/apis/core/v1/defaults.go` does to a PodSpec. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .errors import Cause, JsonObject, bad_value, duplicate, missing, unsupported
from .metadata import WRONG_1123_LABEL, wrong_dns_label

_MODES: Final = {
    "secret": "defaultMode",
    "configMap": "defaultMode",
    "downwardAPI": "defaultMode",
    "projected": "defaultMode",
}
_DEFAULT_MODE: Final = 0o644
_PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")


def default_pod_spec(spec: JsonObject) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("securityContext", {})
    # The deprecated twin is always kept equal.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in _containers(spec):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or []:
        _default_volume(volume)
    for constraint in spec.get("topologySpreadConstraints") or []:
        constraint.setdefault("nodeAffinityPolicy", "Honor")
        constraint.setdefault("nodeTaintsPolicy", "Ignore")


def _containers(spec: JsonObject) -> Iterable[JsonObject]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _default_container(container: JsonObject, *, host_network: bool) -> None:
    image = str(container.get("image", ""))
    if "imagePullPolicy" not in container:
        last = image.rpartition("/")[2].partition("@")
        tag = last[0].partition(":")[2]
        floating = not last[1] and tag in ("", "latest")
        container["imagePullPolicy"] = "Always" if floating else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    for name, limit in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, limit)
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for variable in container.get("env") or []:
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := container.get(name):
            for field_name, value in (
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ):
                probe.setdefault(field_name, value)
            _default_action(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_action(hook)


def _default_action(action: JsonObject) -> None:
    if get := action.get("httpGet"):
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")
    if grpc := action.get("grpc"):
        grpc.setdefault("service", "")


def _default_volume(volume: JsonObject) -> None:
    sources = [key for key in volume if key != "name"]
    if not sources:
        volume["emptyDir"] = {}
    for source, field in _MODES.items():
        if isinstance(volume.get(source), dict):
            volume[source].setdefault(field, _DEFAULT_MODE)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for part in (volume.get("projected") or {}).get("sources") or []:
        if isinstance(part.get("serviceAccountToken"), dict):
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in (part.get("downwardAPI") or {}).get("items") or []:
            if "fieldRef" in item:
                item["fieldRef"].setdefault("apiVersion", "v1")
    for item in (volume.get("downwardAPI") or {}).get("items") or []:
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")


def validate_pod_spec(spec: JsonObject, path: str) -> list[Cause]:
    """The mistakes that hands make most; the rest is left to the kubelet."""
    causes: list[Cause] = []
    names: set[str] = set()
    if not spec.get("containers"):
        causes.append(missing(f"{path}.containers"))
    volumes: set[str] = set()
    for at, volume in enumerate(spec.get("volumes") or []):
        name = volume.get("name", "")
        if not name:
            causes.append(missing(f"{path}.volumes[{at}].name"))
        elif wrong := wrong_dns_label(name):
            causes.append(bad_value(f"{path}.volumes[{at}].name", name, wrong))
        elif name in volumes:
            causes.append(duplicate(f"{path}.volumes[{at}].name", name))
        volumes.add(name)
    for field in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(field) or []):
            causes += _validate_container(container, f"{path}.{field}[{at}]", names, volumes)
    if (policy := spec.get("restartPolicy")) not in ("Always", "OnFailure", "Never"):
        causes.append(unsupported(f"{path}.restartPolicy", policy, ("Always", "OnFailure", "Never")))
    return causes


def _validate_container(container: JsonObject, path: str, names: set[str], volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    if not name:
        causes.append(missing(f"{path}.name"))
    elif wrong_dns_label(name):
        causes.append(bad_value(f"{path}.name", name, WRONG_1123_LABEL))
    elif name in names:
        causes.append(duplicate(f"{path}.name", name))
    names.add(name)
    if not container.get("image"):
        causes.append(missing(f"{path}.image"))
    if (policy := container.get("imagePullPolicy")) not in _PULL_POLICIES:
        causes.append(unsupported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES))
    for at, port in enumerate(container.get("ports") or []):
        number = port.get("containerPort", 0)
        if not 0 < number < 65536:
            causes.append(
                bad_value(f"{path}.ports[{at}].containerPort", number, "must be between 1 and 65535, inclusive")
            )
    for at, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            causes.append(missing(f"{path}.env[{at}].name"))
    for at, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{path}.volumeMounts[{at}]"
        if mount.get("name", "") not in volumes:
            causes.append(Cause(f"{where}.name", f'Not found: "{mount.get("name", "")}"', "FieldValueNotFound"))
        if not mount.get("mountPath"):
            causes.append(missing(f"{where}.mountPath"))
    return causes
