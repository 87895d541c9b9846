"""Cells of the columns of Services, events, endpoints, bindings and Ingresses: object -> what stands there. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .ages import age
from .errors import JsonObject

NONE: Final = "<none>"


def name_of(obj: JsonObject) -> str:
    return str(obj["metadata"].get("name", ""))


def age_of(obj: JsonObject) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def at(*path: str, default: Any = "") -> Callable[[JsonObject], Any]:
    def cell(obj: JsonObject) -> Any:
        node: Any = obj
        for step in path:
            node = node.get(step) if isinstance(node, dict) else None
        return default if node is None else node

    return cell


def selector_text(selector: JsonObject | None) -> str:
    """`metav1.FormatLabelSelector`."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(expression["operator"], key)
        )
    return ",".join(parts) or NONE


def pairs(values: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((values or {}).items())) or NONE


# Services


def external_ip(obj: JsonObject) -> str:
    spec = obj.get("spec", {})
    external = list(spec.get("externalIPs") or [])
    match spec.get("type"):
        case "LoadBalancer":
            ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
            addresses = [entry.get("ip") or entry.get("hostname") or "" for entry in ingress]
            text = ",".join(dict.fromkeys(addresses))
            if external:
                return ",".join([text, *external]) if text else ",".join(external)
            return text or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case _:
            return ",".join(external) or NONE


def service_ports(obj: JsonObject) -> str:
    shown = []
    for port in obj.get("spec", {}).get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


# Events


def event_last(obj: JsonObject) -> str:
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    return age(last) if last else "<unknown>"


def event_first(obj: JsonObject) -> str:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    return age(first) if first else "<unknown>"


def event_object(obj: JsonObject) -> str:
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def event_source(obj: JsonObject) -> str:
    source = obj.get("source") or {}
    parts = [source.get("component") or obj.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(part for part in parts if part)


# Endpoints and slices


def endpoints(obj: JsonObject) -> str:
    shown: list[str] = []
    for subset in obj.get("subsets") or []:
        for address in subset.get("addresses") or []:
            ports = subset.get("ports") or [{}]
            shown += [f"{address['ip']}:{port['port']}" if port else address["ip"] for port in ports]
    return first(shown, 3)


def first(shown: list[str], limit: int) -> str:
    if not shown:
        return NONE
    more = len(shown) - limit
    return ",".join(shown[:limit]) + (f" + {more} more..." if more > 0 else "")


def slice_ports(obj: JsonObject) -> str:
    return first([str(port.get("port", "*")) for port in obj.get("ports") or []], 3) if obj.get("ports") else "<unset>"


def slice_endpoints(obj: JsonObject) -> str:
    addresses = [entry["addresses"][0] for entry in obj.get("endpoints") or [] if entry.get("addresses")]
    return first(addresses, 3) if addresses else "<unset>"


# Bindings


def role_ref(obj: JsonObject) -> str:
    ref = obj.get("roleRef", {})
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def subjects(kind: str) -> Callable[[JsonObject], str]:
    def cell(obj: JsonObject) -> str:
        shown = []
        for subject in obj.get("subjects") or []:
            if subject.get("kind") == kind:
                home = f"{subject['namespace']}/" if subject.get("namespace") else ""
                shown.append(home + subject.get("name", ""))
        return ", ".join(shown)

    return cell


def ingress_address(obj: JsonObject) -> str:
    entries = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return ",".join(entry.get("ip") or entry.get("hostname") or "" for entry in entries)


def ingress_hosts(obj: JsonObject) -> str:
    hosts = [rule.get("host") or "*" for rule in obj.get("spec", {}).get("rules") or []]
    return ",".join(hosts) or "*"
