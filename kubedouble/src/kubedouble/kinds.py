"""What makes one kind differ from another on its way into the store.

Owns the contract (`Kind`) and the small kinds; ConfigMaps and Secrets, Services, workloads and custom resources have
files of their own.
A kind changes only the object that it is given, never the store.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from .errors import Cause, JsonObject, bad_request, bad_value, missing, not_allowed
from .metadata import now

IMMUTABLE = "field is immutable"
_NOT_READY = "node.kubernetes.io/not-ready"
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?P<fraction>\.\d{6})?(?P<zone>Z|[+-]\d\d:\d\d)")


class Kind:
    """The generic behaviour: no defaults, nothing forbidden, `status` written only through its subresource."""

    keeps_status_at_creation = False
    creates_on_update = False
    """PUT (and server-side apply) of a name that is not there creates it, for these kinds only."""

    def default(self, obj: JsonObject) -> None:
        """Fills what the API fills on every write, before validation."""

    def prepare_create(self, obj: JsonObject) -> None:
        """Settles what the server decides at creation."""

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        """Carries over what an update of the main resource may not or need not say."""

    def validate(self, obj: JsonObject) -> list[Cause]:
        return []

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        return []

    def default_status(self, obj: JsonObject) -> None:
        """Fills defaults inside `status` after a write to it."""

    def status_takes_metadata(self) -> bool:
        """True when a write to `status` may change labels and annotations too (it always may for built-in kinds)."""
        return True

    def grace_seconds(self, obj: JsonObject, asked: int | None) -> int:
        """How long deletion waits for the kubelet; 0 removes at once."""
        return 0

    def generation_moves(self, old: JsonObject, new: JsonObject) -> bool:
        return bool(old.get("spec") != new.get("spec"))


class NamespaceKind(Kind):
    def default(self, obj: JsonObject) -> None:
        labels = obj["metadata"].setdefault("labels", {}) or {}
        labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
        obj["metadata"]["labels"] = labels
        obj.setdefault("status", {}).setdefault("phase", "Active")

    def prepare_create(self, obj: JsonObject) -> None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        new["spec"] = old.get("spec", {})


class NodeKind(Kind):
    keeps_status_at_creation = True

    def prepare_create(self, obj: JsonObject) -> None:
        """A node begins as not ready (admission plugin TaintNodesByCondition); its controller takes that back."""
        taints = obj["spec"].get("taints") or []
        if not any(taint.get("key") == _NOT_READY for taint in taints):
            obj["spec"]["taints"] = [*taints, {"key": _NOT_READY, "effect": "NoSchedule"}]

    def validate(self, obj: JsonObject) -> list[Cause]:
        causes = []
        for at, taint in enumerate((obj.get("spec") or {}).get("taints") or []):
            effect = taint.get("effect", "")
            if effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
                causes.append(bad_value(f"spec.taints[{at}].effect", effect, "invalid taint effect"))
        return causes

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        before = (old.get("spec") or {}).get("podCIDR")
        if before and (new.get("spec") or {}).get("podCIDR") != before:
            return [not_allowed("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')]
        return []

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        for taint in spec.get("taints") or []:
            if taint.get("effect") == "NoExecute":
                taint.setdefault("timeAdded", now())
        status = obj.setdefault("status", {})
        status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
        info = status.setdefault("nodeInfo", {})
        for field in (
            "architecture",
            "bootID",
            "containerRuntimeVersion",
            "kernelVersion",
            "kubeProxyVersion",
            "kubeletVersion",
            "machineID",
            "operatingSystem",
            "osImage",
            "systemUUID",
        ):
            info.setdefault(field, "")
        if "capacity" in status:
            status.setdefault("allocatable", dict(status["capacity"]))


def _is_of_family(address: str, family: str) -> bool:
    try:
        return f"IPv{ip_address(address).version}" == family
    except ValueError:
        return False


class LeaseKind(Kind):
    creates_on_update = True

    def default(self, obj: JsonObject) -> None:
        """Times of a Lease are of the type MicroTime, whose decoder takes six digits of a second and no fewer."""
        for field in ("acquireTime", "renewTime"):
            text = (obj.get("spec") or {}).get(field)
            match = _MICRO_TIME.fullmatch(text) if text else None
            if match is not None and not match["fraction"]:
                why = (
                    f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "{match["zone"]}" as'
                    ' ".000000"'
                )
                raise bad_request(f'Lease in version "v1" cannot be handled as a Lease: {why}')

    def validate(self, obj: JsonObject) -> list[Cause]:
        spec, causes = obj.get("spec") or {}, []
        if (seconds := spec.get("leaseDurationSeconds")) is not None and seconds <= 0:
            causes.append(bad_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        if (transitions := spec.get("leaseTransitions")) is not None and transitions < 0:
            causes.append(bad_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
        return causes


class EventKind(Kind):
    """Events are stored in the core group's spelling."""

    creates_on_update = True
    keeps_status_at_creation = True

    def validate(self, obj: JsonObject) -> list[Cause]:
        involved = (obj.get("involvedObject") or {}).get("namespace", "")
        namespace = obj["metadata"].get("namespace", "")
        if involved != namespace and not (involved == "" and namespace == "default"):
            return [bad_value("involvedObject.namespace", involved, "does not match event.namespace")]
        return []

    def default(self, obj: JsonObject) -> None:
        obj.setdefault("source", {})
        obj.setdefault("eventTime", None)
        obj.setdefault("firstTimestamp", None)
        obj.setdefault("lastTimestamp", None)
        obj.setdefault("reportingComponent", (obj["source"] or {}).get("component", ""))
        obj.setdefault("reportingInstance", (obj["source"] or {}).get("host", ""))


class RoleKind(Kind):
    def default(self, obj: JsonObject) -> None:
        obj.setdefault("rules", None)

    def validate(self, obj: JsonObject) -> list[Cause]:
        causes = []
        for at, rule in enumerate(obj.get("rules") or []):
            path = f"rules[{at}]"
            if not rule.get("verbs"):
                causes.append(missing(f"{path}.verbs", "verbs must contain at least one value"))
            if rule.get("nonResourceURLs"):
                continue
            if not rule.get("apiGroups"):
                causes.append(missing(f"{path}.apiGroups", "resource rules must supply at least one api group"))
            if not rule.get("resources"):
                causes.append(missing(f"{path}.resources", "resource rules must supply at least one resource"))
        return causes


class BindingKind(Kind):
    def default(self, obj: JsonObject) -> None:
        ref = obj.setdefault("roleRef", {})
        ref.setdefault("apiGroup", "rbac.authorization.k8s.io")
        for subject in obj.get("subjects") or []:
            if subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", "rbac.authorization.k8s.io")

    def validate(self, obj: JsonObject) -> list[Cause]:
        causes: list[Cause] = []
        ref = obj.get("roleRef") or {}
        if not ref.get("name"):
            causes.append(missing("roleRef.name"))
        for at, subject in enumerate(obj.get("subjects") or []):
            path = f"subjects[{at}]"
            if not subject.get("name"):
                causes.append(missing(f"{path}.name"))
            if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
                causes.append(missing(f"{path}.namespace"))
        return causes

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        if old.get("roleRef") != new.get("roleRef"):
            return [bad_value("roleRef", new.get("roleRef"), "cannot change roleRef")]
        return []


class PriorityClassKind(Kind):
    def default(self, obj: JsonObject) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
        obj.setdefault("value", 0)

    def validate(self, obj: JsonObject) -> list[Cause]:
        name, value = obj["metadata"].get("name", ""), obj["value"]
        if value > 1_000_000_000 and not name.startswith("system-"):
            why = "maximum allowed value of a user defined priority is 1000000000"
            return [not_allowed("value", why)]
        return []

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        return [] if old["value"] == new["value"] else [not_allowed("value", "may not be changed in an update.")]

    def generation_moves(self, old: JsonObject, new: JsonObject) -> bool:
        return False


class EndpointSliceKind(Kind):
    def default(self, obj: JsonObject) -> None:
        obj.setdefault("endpoints", None)
        obj.setdefault("ports", None)
        for port in obj.get("ports") or []:
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def validate(self, obj: JsonObject) -> list[Cause]:
        family = obj.get("addressType", "")
        if not family:
            return [missing("addressType")]
        if family not in ("IPv4", "IPv6", "FQDN"):
            return [bad_value("addressType", family, "must be IPv4, IPv6 or FQDN")]
        article = {"IPv4": "an IPv4", "IPv6": "an IPv6"}.get(family)
        if article is None:
            return []
        return [
            bad_value(f"endpoints[{at}].addresses", address, f"must be {article} address")
            for at, endpoint in enumerate(obj.get("endpoints") or [])
            for address in endpoint.get("addresses") or []
            if not _is_of_family(address, family)
        ]

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        if old.get("addressType") != new.get("addressType"):
            return [bad_value("addressType", new.get("addressType"), IMMUTABLE)]
        return []

    def generation_moves(self, old: JsonObject, new: JsonObject) -> bool:
        return any(old.get(field) != new.get(field) for field in ("endpoints", "ports", "addressType"))


class DisruptionBudgetKind(Kind):
    def validate(self, obj: JsonObject) -> list[Cause]:
        spec = obj.get("spec") or {}
        if "minAvailable" in spec and "maxUnavailable" in spec:
            value: Any = {key: spec[key] for key in ("minAvailable", "maxUnavailable")}
            return [bad_value("spec", value, "minAvailable and maxUnavailable cannot be both set")]
        return []


class NetworkPolicyKind(Kind):
    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        if "policyTypes" not in spec:
            spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
        for rule in (spec.get("ingress") or []) + (spec.get("egress") or []):
            for port in rule.get("ports") or []:
                port.setdefault("protocol", "TCP")


SMALL_KINDS: dict[str, Kind] = {
    "/events": EventKind(),
    "/namespaces": NamespaceKind(),
    "/nodes": NodeKind(),
    "coordination.k8s.io/leases": LeaseKind(),
    "discovery.k8s.io/endpointslices": EndpointSliceKind(),
    "networking.k8s.io/networkpolicies": NetworkPolicyKind(),
    "policy/poddisruptionbudgets": DisruptionBudgetKind(),
    "rbac.authorization.k8s.io/clusterrolebindings": BindingKind(),
    "rbac.authorization.k8s.io/clusterroles": RoleKind(),
    "rbac.authorization.k8s.io/rolebindings": BindingKind(),
    "rbac.authorization.k8s.io/roles": RoleKind(),
    "scheduling.k8s.io/priorityclasses": PriorityClassKind(),
}
