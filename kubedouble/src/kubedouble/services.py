"""Services: defaults, what is drawn for them, what an update carries over or wipes.

Owns what Kubernetes' `registry/core/service` and `apis/core/v1/defaults.go` do. The rules that refuse a Service are in
`servicerules.py`, the pools in `allocation.py`.
"""

from __future__ import annotations

from ipaddress import ip_address

from .allocation import RefusedError, ServicePool
from .errors import Cause, JsonObject, StatusError, bad_value, invalid
from .kinds import Kind
from .servicerules import validate_service, validate_service_update

_LOAD_BALANCER = "LoadBalancer"


def wants_cluster_ip(spec: JsonObject) -> bool:
    return spec.get("type") in ("ClusterIP", "NodePort", _LOAD_BALANCER)


def wants_node_ports(spec: JsonObject) -> bool:
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == _LOAD_BALANCER and spec.get("allocateLoadBalancerNodePorts") is not False


def wants_health_port(spec: JsonObject) -> bool:
    return spec.get("type") == _LOAD_BALANCER and spec.get("externalTrafficPolicy") == "Local"


def is_external(spec: JsonObject) -> bool:
    return spec.get("type") in ("NodePort", _LOAD_BALANCER) or (
        spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def is_headless(spec: JsonObject) -> bool:
    return spec.get("clusterIP") == "None"


class ServiceKind(Kind):
    creates_on_update = True

    def __init__(self, pool: ServicePool) -> None:
        self._pool = pool

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        elif spec["sessionAffinity"] == "ClientIP":
            spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {}).setdefault("timeoutSeconds", 10800)
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports") or []:
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if is_external(spec):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if wants_cluster_ip(spec):
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == _LOAD_BALANCER:
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        self.default_status(obj)

    def default_status(self, obj: JsonObject) -> None:
        balancer = obj.setdefault("status", {}).setdefault("loadBalancer", {})
        if obj.get("spec", {}).get("type") == _LOAD_BALANCER:
            for ingress in balancer.get("ingress") or []:
                if ingress.get("ip"):
                    ingress.setdefault("ipMode", "VIP")

    def prepare_create(self, obj: JsonObject) -> None:
        obj["status"] = {"loadBalancer": {}}
        spec = obj["spec"]
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif spec.get("clusterIPs") and not spec.get("clusterIP"):
            spec["clusterIP"] = spec["clusterIPs"][0]

    def prepare_update(self, old: JsonObject, new: JsonObject) -> None:
        before, after = old["spec"], new["spec"]
        _follow_cluster_ip(before, after)
        _carry_over(before, after)
        _drop_what_the_type_lost(before, after)
        if after.get("type") != _LOAD_BALANCER:
            new["status"] = {**new.get("status", {}), "loadBalancer": {}}

    def validate(self, obj: JsonObject) -> list[Cause]:
        return validate_service(obj)

    def validate_update(self, old: JsonObject, new: JsonObject) -> list[Cause]:
        return validate_service_update(old, new)

    def draw(self, obj: JsonObject, before: JsonObject | None) -> None:
        """Families, cluster IPs and ports, after validation of the rest. Raises `StatusError` 422."""
        spec, uid = obj["spec"], obj["metadata"]["uid"]
        causes: list[Cause] = []
        if not wants_cluster_ip(spec):
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                spec.pop(field, None)
        else:
            causes = self._settle_families(spec, before["spec"] if before else None)
            if not causes and not is_headless(spec):
                causes = self._draw_addresses(spec, uid)
        if not causes:
            causes = self._draw_ports(spec, uid)
        if causes:
            raise self._refusal(obj, causes)

    @staticmethod
    def _refusal(obj: JsonObject, causes: list[Cause]) -> StatusError:
        return invalid("Service", "", obj["metadata"]["name"], causes)

    def _settle_families(self, spec: JsonObject, before: JsonObject | None) -> list[Cause]:
        """KEP-563: policy and families from each other, the cluster's families and the addresses asked for."""
        known = list(self._pool.networks)
        families: list[str] = list(spec.get("ipFamilies") or [])
        addresses = [text for text in spec.get("clusterIPs") or [] if text != "None"]
        for at, text in enumerate(addresses):
            family = "IPv4" if ip_address(text).version == 4 else "IPv6"
            if at >= len(families):
                families.append(family)
            elif families[at] != family:
                why = f"expected an {families[at]} value as indicated by `ipFamilies[{at}]`"
                return [bad_value(f"spec.clusterIPs[{at}]", addresses, why)]
        policy = spec.get("ipFamilyPolicy")
        if policy is None:
            if is_headless(spec) and not spec.get("selector") and not families:
                # No selector: endpoints of any family may be put there by hand.
                policy = "RequireDualStack" if len(known) > 1 else "SingleStack"
                families = list(known)
            else:
                policy = "RequireDualStack" if len(families) > 1 else "SingleStack"
            if len(families) > 1 and before is None and spec.get("ipFamilies"):
                policy = "RequireDualStack"
        if before is not None and policy == "SingleStack" and len(families) > 1:
            # A downgrade: the second family goes.
            if before.get("ipFamilyPolicy") != "SingleStack":
                families = families[:1]
                spec["clusterIPs"] = (spec.get("clusterIPs") or [])[:1]
            else:
                why = "may only hold up to 1 values when 'ipFamilyPolicy' is 'SingleStack'"
                return [bad_value("spec.ipFamilyPolicy", policy, why)]
        elif policy == "SingleStack" and len(families) > 1:
            why = "must be RequireDualStack or PreferDualStack when multiple 'ipFamilies' are specified"
            return [bad_value("spec.ipFamilyPolicy", policy, why)]
        for at, family in enumerate(families):
            if family not in known:
                return [bad_value(f"spec.ipFamilies[{at}]", family, "not configured on this cluster")]
        if not families:
            families = known[:1]
        if policy != "SingleStack" and len(families) == 1:
            families += [family for family in known if family not in families]
        if policy == "RequireDualStack" and len(families) < 2 and not (is_headless(spec) and not spec.get("selector")):
            return [bad_value("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")]
        spec["ipFamilyPolicy"], spec["ipFamilies"] = policy, families
        return []

    def _draw_addresses(self, spec: JsonObject, uid: str) -> list[Cause]:
        wanted = list(spec.get("clusterIPs") or [])
        try:
            for text in wanted:
                self._pool.check_address(text, uid)
            wanted += [self._pool.choose_address(family) for family in spec["ipFamilies"][len(wanted) :]]
        except RefusedError as refused:
            return [bad_value("spec.clusterIPs", wanted, str(refused))]
        spec["clusterIPs"], spec["clusterIP"] = wanted, wanted[0]
        return []

    def _draw_ports(self, spec: JsonObject, uid: str) -> list[Cause]:
        causes: list[Cause] = []
        taken = {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}
        wanted = spec.get("type") in ("NodePort", _LOAD_BALANCER)
        for at, port in enumerate(spec.get("ports") or []):
            path = f"spec.ports[{at}].nodePort"
            try:
                if port.get("nodePort"):
                    if wanted:
                        self._pool.check_port(port["nodePort"], uid)
                elif wants_node_ports(spec):
                    port["nodePort"] = self._same_port(spec, at) or self._pool.choose_port(taken)
                    taken.add(port["nodePort"])
            except RefusedError as refused:
                causes.append(bad_value(path, port.get("nodePort", 0), str(refused)))
        if wants_health_port(spec):
            try:
                if spec.get("healthCheckNodePort"):
                    self._pool.check_port(spec["healthCheckNodePort"], uid)
                else:
                    spec["healthCheckNodePort"] = self._pool.choose_port(taken)
            except RefusedError as refused:
                causes.append(bad_value("spec.healthCheckNodePort", spec.get("healthCheckNodePort"), str(refused)))
        return causes

    @staticmethod
    def _same_port(spec: JsonObject, at: int) -> int | None:
        """One node port for the same port number in several protocols."""
        port = spec["ports"][at]
        for other in spec["ports"][:at]:
            if other["port"] == port["port"] and other["protocol"] != port["protocol"] and other.get("nodePort"):
                return int(other["nodePort"])
        return None


def _follow_cluster_ip(before: JsonObject, after: JsonObject) -> None:
    """`clusterIP` and `clusterIPs` speak of the same thing: whichever was changed wins (NormalizeClusterIPs)."""
    old_one, old_all = before.get("clusterIP"), before.get("clusterIPs")
    new_one, new_all = after.get("clusterIP"), after.get("clusterIPs")
    if new_one and not new_all:
        after["clusterIPs"] = [new_one] if new_one != old_one else list(old_all or [])
    elif not new_one and new_all and not old_one:
        after["clusterIP"] = new_all[0]
    elif new_one != old_one and new_all == old_all:
        if new_one:
            after["clusterIPs"] = [new_one]
        elif old_one and not new_one:
            after.pop("clusterIPs", None)


def _carry_over(before: JsonObject, after: JsonObject) -> None:
    """What was drawn before stays when the new spec is silent (patchAllocatedValues)."""
    if wants_cluster_ip(before) and wants_cluster_ip(after):
        if not after.get("clusterIP") and before.get("clusterIP"):
            after["clusterIP"] = before["clusterIP"]
        if not after.get("clusterIPs") and after.get("clusterIP") == before.get("clusterIP"):
            after["clusterIPs"] = list(before.get("clusterIPs") or [])
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if not after.get(field) and before.get(field):
                after[field] = before[field]
    if wants_node_ports(before) and wants_node_ports(after):
        old_ports = {
            (port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or []
        }
        used = {port["nodePort"] for port in after.get("ports") or [] if port.get("nodePort")}
        for port in after.get("ports") or []:
            old = old_ports.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and old and old not in used:
                port["nodePort"] = old
    if wants_health_port(before) and wants_health_port(after) and not after.get("healthCheckNodePort"):
        after["healthCheckNodePort"] = before.get("healthCheckNodePort")


def _drop_what_the_type_lost(before: JsonObject, after: JsonObject) -> None:
    """Fields of the old type that the user did not touch go with the type (dropTypeDependentFields)."""
    if wants_cluster_ip(before) and not wants_cluster_ip(after):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if after.get(field) == before.get(field):
                after.pop(field, None)
    had_ports = before.get("type") in ("NodePort", _LOAD_BALANCER)
    if had_ports and after.get("type") not in ("NodePort", _LOAD_BALANCER):
        old = {port.get("nodePort") for port in before.get("ports") or []}
        for port in after.get("ports") or []:
            if port.get("nodePort") in old:
                port.pop("nodePort", None)
    if (
        wants_health_port(before)
        and not wants_health_port(after)
        and after.get("healthCheckNodePort") == before.get("healthCheckNodePort")
    ):
        after.pop("healthCheckNodePort", None)
    if before.get("type") == _LOAD_BALANCER and after.get("type") != _LOAD_BALANCER:
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if after.get(field) == before.get(field):
                after.pop(field, None)
    policy = "externalTrafficPolicy"
    if is_external(before) and not is_external(after) and after.get(policy) == before.get(policy):
        after.pop(policy, None)
    if not wants_cluster_ip(after) and after.get("internalTrafficPolicy") == before.get("internalTrafficPolicy"):
        after.pop("internalTrafficPolicy", None)
