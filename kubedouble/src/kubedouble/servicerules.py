"""The rules that refuse a Service, with Kubernetes' sentences (`apis/core/validation`). Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Final

from .errors import (
    Cause,
    JsonObject,
    bad_value,
    duplicate,
    missing,
    not_allowed,
    too_long,
    unsupported,
)
from .metadata import WRONG_1123_LABEL, validate_labels, wrong_dns_label, wrong_qualified_name, wrong_subdomain

_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_POLICIES: Final = ("Cluster", "Local")
_FAMILY_POLICIES: Final = ("SingleStack", "PreferDualStack", "RequireDualStack")
_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameNode", "PreferSameZone")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PORT_RANGE: Final = "must be between 1 and 65535, inclusive"
_NOT_AN_IP: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def validate_service(obj: JsonObject) -> list[Cause]:
    """All that can be said without the pools."""
    spec = obj["spec"]
    kind = spec.get("type")
    headless = spec.get("clusterIP") == "None"
    causes: list[Cause] = []
    if not spec.get("ports") and not headless and kind != "ExternalName":
        causes.append(missing("spec.ports"))
    if kind not in _TYPES:
        causes.append(unsupported("spec.type", kind, _TYPES))
    if kind == "LoadBalancer" and headless:
        causes.append(bad_value("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"))
    if kind == "NodePort" and headless:
        causes.append(bad_value("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"))
    if kind == "ExternalName":
        causes += _validate_external_name(spec)
    causes += _validate_ports(spec, headless=headless)
    causes += validate_labels(spec.get("selector"), "spec.selector")
    if (affinity := spec.get("sessionAffinity")) not in ("ClientIP", "None"):
        causes.append(unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None")))
    elif affinity == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= 86400:
            causes.append(
                bad_value(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    seconds,
                    "must be greater than 0 and less than 86400",
                )
            )
    causes += _validate_addresses(spec)
    causes += _validate_policies(spec)
    return causes


def _validate_external_name(spec: JsonObject) -> list[Cause]:
    name = spec.get("externalName", "")
    causes: list[Cause] = []
    if spec.get("clusterIPs"):
        causes.append(not_allowed("spec.clusterIPs", "may not be set for ExternalName services"))
    if not name:
        causes.append(missing("spec.externalName"))
    elif wrong := wrong_subdomain(name.rstrip(".")):
        causes.append(bad_value("spec.externalName", name, wrong))
    return causes


def _validate_ports(spec: JsonObject, *, headless: bool) -> list[Cause]:
    causes: list[Cause] = []
    ports = spec.get("ports") or []
    names: set[str] = set()
    pairs: set[tuple[str, int]] = set()
    for at, port in enumerate(ports):
        path = f"spec.ports[{at}]"
        name, number, target = port.get("name", ""), port.get("port", 0), port.get("targetPort")
        if not name and len(ports) > 1:
            causes.append(missing(f"{path}.name"))
        elif name and wrong_dns_label(name):
            causes.append(bad_value(f"{path}.name", name, WRONG_1123_LABEL))
        elif name and name in names:
            causes.append(duplicate(f"{path}.name", name))
        names.add(name)
        if not 0 < number < 65536:
            causes.append(bad_value(f"{path}.port", number, _PORT_RANGE))
        if not port.get("protocol"):
            causes.append(missing(f"{path}.protocol"))
        elif port["protocol"] not in _PROTOCOLS:
            causes.append(unsupported(f"{path}.protocol", port["protocol"], _PROTOCOLS))
        if isinstance(target, int) and not 0 < target < 65536:
            causes.append(bad_value(f"{path}.targetPort", target, _PORT_RANGE))
        if isinstance(target, str):
            causes += _validate_port_name(target, f"{path}.targetPort")
        if (protocol := port.get("appProtocol")) is not None and (wrong := wrong_qualified_name(protocol)):
            causes.append(bad_value(f"{path}.appProtocol", protocol, wrong))
        if port.get("nodePort") and spec.get("type") in ("ClusterIP", "ExternalName"):
            causes.append(not_allowed(f"{path}.nodePort", f"may not be used when `type` is '{spec.get('type')}'"))
        pair = (port.get("protocol", ""), number)
        if pair in pairs:
            causes.append(duplicate(path, {"port": number, "protocol": pair[0]}))
        pairs.add(pair)
    return causes


def _validate_port_name(name: str, path: str) -> list[Cause]:
    if len(name) > 15:
        return [too_long(path, 15)]
    if not _PORT_NAME.fullmatch(name) or "--" in name or not re.search("[a-z]", name):
        why = (
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
            if not re.fullmatch("[-a-z0-9]+", name)
            else "must contain at least one letter (a-z)"
        )
        return [bad_value(path, name, why)]
    return []


def _validate_addresses(spec: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    cluster_ips = spec.get("clusterIPs") or []
    if spec.get("clusterIP") and cluster_ips and cluster_ips[0] != spec["clusterIP"]:
        causes.append(bad_value("spec.clusterIPs", cluster_ips, "first value must match `clusterIP`"))
    if len(cluster_ips) > 2:
        causes.append(bad_value("spec.clusterIPs", cluster_ips, "may only hold up to 2 values"))
    for at, text in enumerate(cluster_ips):
        if text == "None":
            if len(cluster_ips) > 1:
                causes.append(bad_value(f"spec.clusterIPs[{at}]", text, "'None' must be the first and only value"))
        elif not _is_ip(text):
            causes.append(bad_value(f"spec.clusterIPs[{at}]", text, _NOT_AN_IP))
    for at, text in enumerate(spec.get("externalIPs") or []):
        path = f"spec.externalIPs[{at}]"
        if not _is_ip(text):
            causes.append(bad_value(path, text, _NOT_AN_IP))
        else:
            address = ip_address(text)
            for special, why in (
                (address.is_unspecified, f"may not be unspecified ({text})"),
                (address.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
                (address.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            ):
                if special:
                    causes.append(bad_value(path, text, why))
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and spec.get("type") != "LoadBalancer":
        causes.append(not_allowed("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"))
    for at, text in enumerate(ranges):
        try:
            ip_network(text.strip(), strict=False)
            valid = "/" in text
        except ValueError:
            valid = False
        if not valid:
            causes.append(
                bad_value(
                    f"spec.LoadBalancerSourceRanges[{at}]",
                    text,
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                )
            )
    return causes


def _validate_policies(spec: JsonObject) -> list[Cause]:
    kind = spec.get("type")
    causes: list[Cause] = []
    external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if (policy := spec.get("externalTrafficPolicy")) is not None:
        if not external:
            causes.append(
                bad_value("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
            )
        elif policy not in _POLICIES:
            causes.append(unsupported("spec.externalTrafficPolicy", policy, _POLICIES))
    if (policy := spec.get("internalTrafficPolicy")) is not None and policy not in _POLICIES:
        causes.append(unsupported("spec.internalTrafficPolicy", policy, _POLICIES))
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        causes.append(
            not_allowed("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
        )
    if (name := spec.get("loadBalancerClass")) is not None:
        if kind != "LoadBalancer":
            causes.append(not_allowed("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"))
        elif wrong := wrong_qualified_name(name):
            causes.append(bad_value("spec.loadBalancerClass", name, wrong))
    if spec.get("healthCheckNodePort") and not (
        kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    ):
        causes.append(
            bad_value(
                "spec.healthCheckNodePort",
                spec["healthCheckNodePort"],
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            )
        )
    if (policy := spec.get("ipFamilyPolicy")) is not None and policy not in _FAMILY_POLICIES:
        causes.append(unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES))
    families = spec.get("ipFamilies") or []
    for at, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            causes.append(unsupported(f"spec.ipFamilies[{at}]", family, ("IPv4", "IPv6")))
    if len(families) > 2 or len(set(families)) != len(families):
        causes.append(duplicate(f"spec.ipFamilies[{len(families) - 1}]", families[-1]))
    if (distribution := spec.get("trafficDistribution")) is not None and distribution not in _DISTRIBUTIONS:
        causes.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return causes


def validate_service_update(old: JsonObject, new: JsonObject) -> list[Cause]:
    """What may not change once it is set."""
    before, after = old["spec"], new["spec"]
    causes: list[Cause] = []
    both = before.get("type") != "ExternalName" and after.get("type") != "ExternalName"
    if both and before.get("clusterIP"):
        old_ips, new_ips = before.get("clusterIPs") or [], after.get("clusterIPs") or []
        if not new_ips or old_ips[0] != new_ips[0]:
            causes.append(bad_value("spec.clusterIPs[0]", new_ips, "may not change once set"))
        elif len(old_ips) > 1 and len(new_ips) > 1 and old_ips[1] != new_ips[1]:
            causes.append(bad_value("spec.clusterIPs[1]", new_ips, "may not change once set"))
    old_families, new_families = before.get("ipFamilies"), after.get("ipFamilies")
    if both and old_families and new_families and old_families[0] != new_families[0]:
        causes.append(bad_value("spec.ipFamilies[0]", new_families[0], "may not change once set"))
    if before.get("type") == after.get("type") == "LoadBalancer":
        if before.get("loadBalancerClass") != after.get("loadBalancerClass"):
            causes.append(
                bad_value("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set")
            )
        if before.get("externalTrafficPolicy") == after.get("externalTrafficPolicy") == "Local" and before.get(
            "healthCheckNodePort"
        ) != after.get("healthCheckNodePort"):
            causes.append(bad_value("spec.healthCheckNodePort", after.get("healthCheckNodePort"), "field is immutable"))
    return causes


def validate_load_balancer_status(obj: JsonObject) -> list[Cause]:
    """`status.loadBalancer` as written through the status subresource."""
    causes: list[Cause] = []
    ingresses = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    if ingresses and obj.get("spec", {}).get("type") != "LoadBalancer":
        return [not_allowed("status.loadBalancer.ingress", 'may only be used when `spec.type` is "LoadBalancer"')]
    for at, ingress in enumerate(ingresses):
        path = f"status.loadBalancer.ingress[{at}]"
        if ip := ingress.get("ip"):
            if not _is_ip(ip):
                causes.append(bad_value(f"{path}.ip", ip, _NOT_AN_IP))
            if not ingress.get("ipMode"):
                causes.append(missing(f"{path}.ipMode", "must be specified when `ip` is set"))
            elif ingress["ipMode"] not in ("VIP", "Proxy"):
                causes.append(unsupported(f"{path}.ipMode", ingress["ipMode"], ("Proxy", "VIP")))
        elif ingress.get("ipMode"):
            causes.append(not_allowed(f"{path}.ipMode", "may not be specified when `ip` is not set"))
        if hostname := ingress.get("hostname"):
            if wrong := wrong_subdomain(hostname):
                causes.append(bad_value(f"{path}.hostname", hostname, wrong))
            if _is_ip(hostname):
                causes.append(bad_value(f"{path}.hostname", hostname, "must be a DNS name, not an IP address"))
    return causes
