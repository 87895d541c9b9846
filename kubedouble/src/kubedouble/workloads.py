"""Pods and what makes pods: Deployments, ReplicaSets, DaemonSets, StatefulSets, Jobs, CronJobs.

Owns their defaults and immutable fields. They are only stored here: the lab plays the controllers and the kubelet.
"""

from __future__ import annotations

from .errors import Cause, JsonObject, bad_value, missing, not_allowed
from .kinds import IMMUTABLE, Kind
from .podspec import default_pod_spec, validate_pod_spec
from .selectors import matches_label_selector

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class PodKind(Kind):
    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec)
        spec.setdefault("enableServiceLinks", True)
        obj.setdefault("status", {}).setdefault("qosClass", _quality(spec))

    def prepare_create(self, obj: JsonObject) -> None:
        spec = obj["spec"]
        spec.setdefault("serviceAccountName", "default")
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        spec.setdefault("priority", 0)
        tolerations = spec.setdefault("tolerations", [])
        # What the admission plugin DefaultTolerationSeconds adds.
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if not any(
                toleration.get("key") in (key, None) and toleration.get("effect") in ("NoExecute", None)
                for toleration in tolerations
            ):
                tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
        obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}

    def validate(self, obj: JsonObject) -> list[Cause]:
        return validate_pod_spec(obj.get("spec") or {}, "spec")

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        if _fixed(old["spec"]) != _fixed(new["spec"]):
            why = (
                "pod updates may not change fields other than `spec.containers[*].image`,"
                "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to"
                " existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was"
                " previously negative)"
            )
            return [not_allowed("spec", why)]
        return []

    def grace_seconds(self, obj: JsonObject, asked: int | None) -> int:
        # Nobody runs a pod that was never bound to a node or has ended: nothing to wait for.
        if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        return int(obj["spec"].get("terminationGracePeriodSeconds", 30)) if asked is None else asked


def _fixed(spec: JsonObject) -> JsonObject:
    open_fields = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
    kept = {key: value for key, value in spec.items() if key not in open_fields}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [
                {key: value for key, value in container.items() if key != "image"} for container in kept[field]
            ]
    return kept


def _quality(spec: JsonObject) -> str:
    """The QoS class: Guaranteed, Burstable or BestEffort."""
    any_set, all_equal = False, True
    for container in spec.get("containers") or []:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        any_set = any_set or bool(limits or requests)
        all_equal = all_equal and {"cpu", "memory"} <= set(limits) and requests == limits
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if all_equal else "Burstable"


class TemplatedKind(Kind):
    """Everything with `spec.selector` and `spec.template`."""

    selector_is_immutable = True

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}))
        self.default_spec(spec)
        obj.setdefault("status", {})

    def default_spec(self, spec: JsonObject) -> None:
        spec.setdefault("replicas", 1)

    def validate(self, obj: JsonObject) -> list[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels") or {}
        if not selector:
            causes.append(missing("spec.selector"))
        elif not matches_label_selector(selector, labels):
            causes.append(
                bad_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
            )
        if spec.get("replicas", 0) < 0:
            causes.append(bad_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
        return causes + validate_pod_spec(spec["template"]["spec"], "spec.template.spec")

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        if self.selector_is_immutable and old["spec"].get("selector") != new["spec"].get("selector"):
            return [bad_value("spec.selector", new["spec"].get("selector"), IMMUTABLE)]
        return []


class DeploymentKind(TemplatedKind):
    def default_spec(self, spec: JsonObject) -> None:
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")


class DaemonSetKind(TemplatedKind):
    def default_spec(self, spec: JsonObject) -> None:
        spec.setdefault("revisionHistoryLimit", 10)
        strategy = spec.setdefault("updateStrategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        status = obj["status"]
        for field in ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"):
            status.setdefault(field, 0)

    def prepare_create(self, obj: JsonObject) -> None:
        annotations = obj["metadata"].get("annotations") or {}
        obj["metadata"]["annotations"] = {_TEMPLATE_GENERATION: "1", **annotations}

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        before = int((old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1"))
        moved = old["spec"].get("template") != new["spec"].get("template")
        annotations = dict(new["metadata"].get("annotations") or {})
        annotations[_TEMPLATE_GENERATION] = str(before + 1 if moved else before)
        new["metadata"]["annotations"] = annotations


class ReplicaSetKind(TemplatedKind):
    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        obj["status"].setdefault("replicas", 0)


class StatefulSetKind(TemplatedKind):
    def default_spec(self, spec: JsonObject) -> None:
        spec.setdefault("replicas", 1)
        spec.setdefault("podManagementPolicy", "OrderedReady")
        spec.setdefault("revisionHistoryLimit", 10)
        retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        retention.setdefault("whenDeleted", "Retain")
        retention.setdefault("whenScaled", "Retain")
        strategy = spec.setdefault("updateStrategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        obj["status"].setdefault("replicas", 0)


class JobKind(TemplatedKind):
    def default_spec(self, spec: JsonObject) -> None:
        for field, value in (
            ("completions", 1),
            ("parallelism", 1),
            ("backoffLimit", 6),
            ("suspend", False),
            ("completionMode", "NonIndexed"),
            ("manualSelector", False),
            ("podReplacementPolicy", "TerminatingOrFailed"),
        ):
            spec.setdefault(field, value)

    def prepare_create(self, obj: JsonObject) -> None:
        if obj["spec"].get("selector"):
            return
        uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
        obj["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        template = obj["spec"]["template"]["metadata"]
        template["labels"] = {
            **(template.get("labels") or {}),
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": uid,
            "job-name": name,
        }


class CronJobKind(Kind):
    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        for field, value in (
            ("concurrencyPolicy", "Allow"),
            ("suspend", False),
            ("successfulJobsHistoryLimit", 3),
            ("failedJobsHistoryLimit", 1),
        ):
            spec.setdefault(field, value)
        template = spec.get("jobTemplate", {}).get("spec", {}).get("template", {}).get("spec")
        if template is not None:
            default_pod_spec(template)
        obj.setdefault("status", {})

    def validate(self, obj: JsonObject) -> list[Cause]:
        return [] if obj["spec"].get("schedule") else [missing("spec.schedule")]


WORKLOAD_KINDS: dict[str, Kind] = {
    "/pods": PodKind(),
    "apps/daemonsets": DaemonSetKind(),
    "apps/deployments": DeploymentKind(),
    "apps/replicasets": ReplicaSetKind(),
    "apps/statefulsets": StatefulSetKind(),
    "batch/cronjobs": CronJobKind(),
    "batch/jobs": JobKind(),
}
